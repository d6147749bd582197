// npm: prisma @prisma/client @prisma/adapter-pg pg
const { spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const { PrismaPg } = require('@prisma/adapter-pg');

const userIds = [42, "7f1c9ae2-4c1f-4a5e-9b0e-1f6d3c2b7a90", "it's u1"];
const properties = { title: "Ro\u00e4r", plays: 3, tags: ["a", 'b "c"'], at: null };

// A client has no engine since version 7.  What makes one looks for an engine
// that it does not need, and would download it.
function generate() {
  const schema = path.join(__dirname, 'schema.prisma');
  fs.writeFileSync(schema, `
generator client {
  provider   = "prisma-client-js"
  output     = "./prisma-client"
  engineType = "client"
}
datasource db {
  provider = "postgresql"
}
`);
  const made = spawnSync(process.execPath, [require.resolve('prisma/build/index.js'), 'generate', '--schema', schema], {
    encoding: 'utf8',
    env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', CHECKPOINT_DISABLE: '1', PRISMA_HIDE_UPDATE_MESSAGE: '1' },
  });
  if (made.status !== 0) throw new Error(made.stdout + made.stderr);
  return require('./prisma-client').PrismaClient;
}

async function main() {
  const PrismaClient = generate();
  const prisma = new PrismaClient({ adapter: new PrismaPg({}) });
  for (const userId of userIds) {
    // from doc/clients.md
  }
  await prisma.$disconnect();
}

main().catch((error) => { console.error(error); process.exit(1); });
