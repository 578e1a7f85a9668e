import { variablesOf } from '../src/config/environment.ts';
import { configKeys } from './config-keys.ts';

const BEGIN = '<!-- written by "npm run schema" -->';
const END = '<!-- end of what is written -->';

/** A text of the documents with the table of all variables between its two marks. */
export function withVariablesTable(text: string): string {
  const [before, , after] = splitAt(text);
  return `${before}${BEGIN}\n\n${variablesTable()}\n${END}${after}`;
}

/** Which variable sets which key, and how its value is written. */
function variablesTable(): string {
  const rows = configKeys().map(([key, kinds]) => {
    const [byRule = '', ...others] = variablesOf(key).map((name) => `\`${name}\``);
    return `| ${byRule} | ${others.join(', ')} | \`${key}\` | ${kinds.map(form).join(', ')} |\n`;
  });
  return `| variable | other names | key | value |\n| --- | --- | --- | --- |\n${rows.join('')}`;
}

function form(kind: string): string {
  if (kind === 'array' || kind === 'object') return 'JSON';
  const forms: Record<string, string> = {
    string: 'text',
    integer: 'number',
    boolean: '`true`, `false`',
    null: '`null`',
  };
  return forms[kind] ?? kind;
}

function splitAt(text: string): string[] {
  const [before = '', rest] = text.split(BEGIN);
  const [between = '', after] = rest?.split(END) ?? [];
  if (after === undefined) throw new Error(`there is no ${BEGIN} … ${END}`);
  return [before, between, after];
}
