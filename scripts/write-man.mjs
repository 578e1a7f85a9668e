// Writes the man page of the built program. The command line itself is its source, so it says what
// --help says. Every build of one version gives the same text.
import { writeFileSync } from 'node:fs';
import { VERSION } from '../.build/program/base/version.js';
import { createProgram } from '../.build/program/commands/program.js';
import { variablesOf } from '../.build/program/config/environment.js';
import { KINDS } from '../.build/program/config/keys.generated.js';

const PATH = 'dist/codex-auth-sidecar.1';
const io = { env: {}, print() {}, warn() {} };

/** Text as roff takes it: no line begins a request, and nothing is an escape. */
function plain(text) {
  return text
    .replaceAll('\\', '\\(rs')
    .replaceAll('-', '\\-')
    .replaceAll(/^(?=[.'])/gm, '\\&')
    .replaceAll(/[^\n -~]/gu, (sign) => `\\[u${sign.codePointAt(0).toString(16).toUpperCase()}]`);
}

const bold = (text) => `\\fB${plain(text)}\\fR`;
/** `--port <number>` with the name in bold and the value in italics. */
const term = (flags) =>
  plain(flags)
    .replaceAll(/(?<![\w<[])(\\-(?:\\-)?[a-z](?:[a-z]|\\-)*)/g, '\\fB$1\\fR')
    .replaceAll(/[<[]([a-z]+)[>\]]/g, (whole, name) =>
      whole.startsWith('<') ? `\\fI${name}\\fR` : `[\\fI${name}\\fR]`,
    );
const entry = (head, text) => `.TP\n${head}\n${plain(text)}\n`;

function section(command, path) {
  const help = command.createHelp();
  const inner = help.visibleCommands(command);
  const usage = command.usage().replace('[options]', '').trim();
  const head = `.SS ${plain([...path, usage].filter(Boolean).join(' '))}\n${plain(command.description())}.\n`;
  const options = help
    .visibleOptions(command)
    .filter(({ long }) => long !== '--help')
    .map((option) => entry(term(option.flags), help.optionDescription(option)));
  const more = inner.map((one) => section(one, [...path, one.name()]));
  return inner.length > 0 ? more.join('') : head + options.join('');
}

function page(program) {
  const name = program.name();
  const help = program.createHelp();
  const commands = help.visibleCommands(program);
  const variables = Object.keys(KINDS).map((key) =>
    entry(variablesOf(key).map(bold).join(', '), key),
  );
  return [
    `.TH ${name.toUpperCase()} 1 "" "${name} ${plain(VERSION)}" "User Commands"\n`,
    `.SH NAME\n${plain(name)} \\- keeps the Codex credentials, so that the coding agent does not have to\n`,
    `.SH SYNOPSIS\n.B ${plain(name)}\n[\\fIcommand\\fR] [\\fIoptions\\fR]\n`,
    `.SH DESCRIPTION\n${plain(
      'A local HTTP proxy that holds the OpenAI Codex login. Coding agents call it with a client token that is worth nothing elsewhere, and it puts the real credential on the requests that its rules allow. Without a command it serves.',
    )}\n`,
    '.SH COMMANDS\n',
    ...commands.map((command) => section(command, [command.name()])),
    '.SH OPTIONS\n',
    ...help.visibleOptions(program).map((option) => entry(term(option.flags), option.description)),
    `.SH CONFIGURATION\n${plain(
      'One JSON file, which --config or SIDECAR_CONFIG names. Then the environment counts, then the options. "config show" prints what is in use and where it comes from.',
    )}\n`,
    `.SH ENVIRONMENT\n${plain('Each variable sets the key that stands below it. A list or a section is JSON.')}\n`,
    ...variables,
    entry(bold('SIDECAR_CONFIG'), 'the configuration file'),
    entry(bold('SIDECAR_STORE_URL_FILE'), 'a file with the URL of a shared store'),
    entry(
      ['CODEX_API_KEY', 'CODEX_ACCESS_TOKEN', 'CODEX_AGENT_IDENTITY'].map(bold).join(', '),
      'a credential, which goes before the stored one; with _FILE behind its name, a file that holds it',
    ),
    '.SH FILES\n',
    entry(
      '\\fI~/.codex/auth.json\\fR',
      'the login, as Codex stores it; CODEX_HOME names another folder',
    ),
    `.SH EXIT STATUS\n${plain('0 success, 1 failure, 2 wrong usage or wrong configuration. "run" ends with the exit status of its program.')}\n`,
  ].join('');
}

writeFileSync(PATH, page(createProgram(io)));
