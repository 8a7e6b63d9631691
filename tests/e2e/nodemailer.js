// Sends the mails on stdin (JSON; raw as Latin-1) one after the other on one connection.
'use strict';
const nodemailer = require('nodemailer');
const mails = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const transport = nodemailer.createTransport({
    host: '127.0.0.1',
    port: Number(process.argv[2]),
    name: 'client.example',
    ignoreTLS: true,
    pool: true,
    maxConnections: 1,
});

async function send() {
    for (const { envelope, raw } of mails) {
        const info = await transport.sendMail({ envelope, raw: Buffer.from(raw, 'latin1') });
        console.log(info.response);
    }
}

send()
    .catch((error) => {
        console.error(error.response || error);
        process.exitCode = 1;
    })
    .finally(() => transport.close());
