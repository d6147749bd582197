// The Test Anything Protocol.
'use strict';

let count = 0;
let failed = 0;

function ok(good, name) {
  count += 1;
  if (!good) failed += 1;
  console.log(`${good ? 'ok' : 'not ok'} ${count} - ${name}`);
  return good;
}

function is(got, expected, name) {
  const good = JSON.stringify(got) === JSON.stringify(expected);
  ok(good, name);
  if (!good) {
    console.log(`#      got: ${JSON.stringify(got)}`);
    console.log(`# expected: ${JSON.stringify(expected)}`);
  }
  return good;
}

function done() {
  console.log(`1..${count}`);
  return failed === 0 && count > 0 ? 0 : 1;
}

// waits until what fn returns, or resolves to, is true; false after the time
async function until(fn, ms = 10000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await fn();
    if (value) return value;
    if (Date.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

// the tests of a file: what they throw fails, and nothing that is open holds up the end
function runAll(main) {
  main().then(() => process.exit(done()), (error) => {
    console.log(`not ok - ${error.stack}`);
    process.exit(1);
  });
}

module.exports = { ok, is, done, runAll, until };
