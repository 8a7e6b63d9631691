// Verify with mailauth (npm): JSON in, JSON out. tests/mailauth/oracles.py runs it.
const { readFileSync } = require('node:fs');
const { dkimVerify } = require('mailauth/lib/dkim/verify');

async function verify({ message, records }) {
    const resolver = async name => {
        if (records[name] === undefined) {
            throw Object.assign(new Error(name), { code: 'ENOTFOUND' });
        }
        return [[records[name]]];
    };
    const { results } = await dkimVerify(Buffer.from(message, 'base64'), { resolver, strict: true });
    const found = results.map(({ status }) => status);
    if (found.some(({ result }) => result === 'pass')) return 'pass';
    return 'fail: ' + found.map(({ result, comment }) => comment || result).join('; ');
}

async function main() {
    const answers = [];
    for (const job of JSON.parse(readFileSync(0))) answers.push(await verify(job));
    process.stdout.write(JSON.stringify(answers));
}
main();
