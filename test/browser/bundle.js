// From npm packages to the files that pages load: one script for each.
'use strict';

const fs = require('fs');
const path = require('path');
const esbuild = require('esbuild');

const root = path.join(process.env.NODE_PATH, '..');

// Versions before 4 are one script as they are.  Later ones are modules, which
// Braze's CDN has as one script that sets window.braze.
async function sdks(majors) {
  const scripts = {};
  for (const major of majors) {
    const dir = path.join(process.env.NODE_PATH, `web-sdk-${major}`);
    scripts[major] = major < 4 ? fs.readFileSync(path.join(dir, 'appboy.min.js'), 'utf8') :
      await script(path.join(dir, 'src/index.js'), 'braze');
  }
  return scripts;
}

// of a file, or of code that imports packages
async function script(entry, name) {
  const result = await esbuild.build({
    ...(path.isAbsolute(entry) ? { entryPoints: [entry] } : { stdin: { contents: entry, resolveDir: root } }), bundle: true, write: false, format: 'iife', globalName: name,
    platform: 'browser', target: 'es2020', absWorkingDir: root, logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  });
  return result.outputFiles[0].text;
}

module.exports = { sdks, script };
