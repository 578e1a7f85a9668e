// A file of an earlier build must not get into the package.
import { rmSync } from 'node:fs';

rmSync('dist', { recursive: true, force: true });
