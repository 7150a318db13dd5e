// Runs the type check when TypeScript is installed; the tests themselves need nothing but Node.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = `${root}node_modules/typescript/bin/tsc`;
if (existsSync(tsc)) {
  const { status } = spawnSync(process.execPath, [tsc, '--project', `${root}tsconfig.json`], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
} else {
  console.log('types: not checked, because typescript is not installed (npm ci)');
}
