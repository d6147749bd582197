// npm: postgres
const postgres = require('postgres');

const userIds = [42, "7f1c9ae2-4c1f-4a5e-9b0e-1f6d3c2b7a90", "it's u1"];
const properties = { title: "Ro\u00e4r", plays: 3, tags: ["a", 'b "c"'], at: null };

async function main() {
  const sql = postgres();
  for (const userId of userIds) {
    // from doc/clients.md
  }
  await sql.end();
}

main().catch((error) => { console.error(error); process.exit(1); });
