# Sign and verify with Mail::DKIM: JSON in, JSON out. tests/mailauth/oracles.py runs it.
use strict;
use warnings;
use JSON;
use MIME::Base64;
use Mail::DKIM::PrivateKey;
use Mail::DKIM::Signer;
use Mail::DKIM::Verifier;
use Net::DNS::RR;

my $records = {};
{
    no warnings 'redefine';
    *Mail::DKIM::DNS::query = sub {
        my ($name) = @_;
        return unless exists $records->{$name};
        return Net::DNS::RR->new(name => $name, type => 'TXT', txtdata => $records->{$name});
    };
}

sub sign {
    my ($job) = @_;
    (my $key = $job->{key}) =~ s/-----[^-]*-----|\s//g;
    my $signer = Mail::DKIM::Signer->new(
        Algorithm => $job->{algorithm},
        Method => "$job->{header}/$job->{body}",
        Domain => $job->{domain},
        Selector => $job->{selector},
        Key => Mail::DKIM::PrivateKey->load(Data => $key),
    );
    $signer->PRINT(decode_base64($job->{message}));
    $signer->CLOSE;
    return $signer->signature->as_string . "\r\n";
}

sub verify {
    my ($job) = @_;
    $records = $job->{records};
    my $verifier = Mail::DKIM::Verifier->new;
    $verifier->PRINT(decode_base64($job->{message}));
    $verifier->CLOSE;
    my $detail = $verifier->result_detail;
    return $verifier->result eq 'pass' ? 'pass' : "fail: $detail";
}

my $jobs = decode_json(do { local $/; <STDIN> });
print encode_json([map { $_->{op} eq 'sign' ? sign($_) : verify($_) } @$jobs]);
