import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

interface OptionSpec {
  flag: string;
  description: string;
  /** Kind of its value; null when it takes no value. */
  value: 'file' | 'text' | null;
  /** The value may be left out. */
  optional: boolean;
}

interface CommandSpec {
  /** Words after the name of the program; empty for the program itself. */
  path: string[];
  description: string;
  subcommands: CommandSpec[];
  options: OptionSpec[];
  /** Allowed values of its argument; null when anything is allowed. */
  choices: readonly string[] | null;
}

/** A script that completes the commands and options of `program`, which are its only source. */
export function completionScript(program: Command, shell: Shell): string {
  const specs = flatten(describe(program, []));
  const name = program.name();
  if (shell === 'bash') return bash(name, specs);
  return shell === 'zsh' ? zsh(name, specs) : fish(name, specs);
}

function describe(command: Command, path: string[]): CommandSpec {
  const help = command.createHelp();
  const visible = help.visibleCommands(command);
  return {
    path,
    description: command.description(),
    subcommands: visible.map((inner) => describe(inner, [...path, inner.name()])),
    options: help.visibleOptions(command).map(describeOption),
    choices: command.registeredArguments[0]?.argChoices ?? null,
  };
}

const PLACES = /<(file|path|folder)>/;

function describeOption(option: Option): OptionSpec {
  const takesValue = option.required || option.optional;
  return {
    flag: option.long ?? option.flags,
    description: option.description,
    value: takesValue ? (PLACES.test(option.flags) ? 'file' : 'text') : null,
    optional: option.optional,
  };
}

function flatten(spec: CommandSpec): CommandSpec[] {
  return [spec, ...spec.subcommands.flatMap(flatten)];
}

const words = ({ subcommands, options, choices }: CommandSpec) => [
  ...subcommands.map(({ path }) => path.at(-1) ?? ''),
  ...(choices ?? []),
  ...options.map(({ flag }) => flag),
];

const identifier = (name: string) => `_${name.replaceAll(/\W/g, '_')}`;
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function bash(name: string, specs: CommandSpec[]): string {
  const known = specs.flatMap(({ path }) => (path.length > 0 ? [path.join(' ')] : []));
  const flags = (value: OptionSpec['value']) => [
    ...new Set(
      specs
        .flatMap(({ options }) =>
          options.filter((option) => option.value === value && !option.optional),
        )
        .map(({ flag }) => flag),
    ),
  ];
  return `# Completion of ${name} for bash; in ~/.bashrc: source <(${name} completion bash)
${identifier(name)}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]}
  local command='' word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ $word == -- ]]; then
      COMPREPLY=($(compgen -c -f -- "$current"))
      return
    fi
    case "$command\${command:+ }$word" in
    ${known.map(quoted).join(' | ')}) command+="\${command:+ }$word" ;;
    esac
  done
  case "$previous" in
  ${flags('file').join(' | ')})
    COMPREPLY=($(compgen -f -- "$current"))
    return
    ;;
  ${flags('text').join(' | ')}) return ;;
  esac
  case "$command" in
${specs.map((spec) => `  ${quoted(spec.path.join(' '))}) word=${quoted(words(spec).join(' '))} ;;`).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$word" -- "$current"))
}
complete -o filenames -F ${identifier(name)} ${name}
`;
}

function zsh(name: string, specs: CommandSpec[]): string {
  const escaped = (text: string) => text.replaceAll(/[\\:[\]]/g, '\\$&');
  const argument = ({ flag, description, value, optional }: OptionSpec) => {
    const colon = optional ? '::' : ':';
    const taken = value === null ? '' : `${colon}${value}:${value === 'file' ? '_files' : ''}`;
    return quoted(`${flag}[${escaped(description)}]${taken}`);
  };
  const rest = ({ subcommands, choices }: CommandSpec) => {
    const named = subcommands.map(({ path, description }) => {
      return quoted(`${path.at(-1)}:${escaped(description)}`);
    });
    if (named.length > 0) return [`_describe command ${identifier('commands')}`, named] as const;
    return [choices ? `compadd -- ${choices.join(' ')}` : '_files', []] as const;
  };
  const cases = specs.map((spec) => {
    const [action, named] = rest(spec);
    const list =
      named.length > 0 ? `local -a ${identifier('commands')}=(${named.join(' ')}); ` : '';
    return `  ${quoted(spec.path.join(' '))})
    flags=(${spec.options.map(argument).join(' ')})
    ${list}if [[ $PREFIX == -* ]]; then _arguments $flags; else ${action}; fi
    ;;`;
  });
  const known = specs.flatMap(({ path }) => (path.length > 0 ? [quoted(path.join(' '))] : []));
  return `#compdef ${name}
# Completion of ${name} for zsh; put it as _${name} into a folder of $fpath
${identifier(name)}() {
  local command='' word
  local -a flags
  for word in \${words[2,CURRENT-1]}; do
    if [[ $word == -- ]]; then _normal; return; fi
    case "$command\${command:+ }$word" in
    ${known.join(' | ')}) command+="\${command:+ }$word" ;;
    esac
  done
  case "$command" in
${cases.join('\n')}
  esac
}
if [[ $funcstack[1] == _${name} ]]; then ${identifier(name)} "$@"; else compdef ${identifier(name)} ${name}; fi
`;
}

function fish(name: string, specs: CommandSpec[]): string {
  const lines = specs.flatMap((spec) => {
    const seen = spec.path.map((word) => `__fish_seen_subcommand_from ${word}`);
    const next = spec.subcommands.map(({ path }) => path.at(-1));
    const none = next.length > 0 ? [`not __fish_seen_subcommand_from ${next.join(' ')}`] : [];
    const when = (conditions: string[]) =>
      conditions.length > 0 ? ` -n ${quoted(conditions.join('; and '))}` : '';
    return [
      ...spec.subcommands.map(
        ({ path, description }) =>
          `complete -c ${name} -f${when([...seen, ...none])} -a ${path.at(-1)} -d ${quoted(description)}`,
      ),
      ...(spec.choices ?? []).map((choice) => `complete -c ${name} -f${when(seen)} -a ${choice}`),
      ...spec.options.map(({ flag, description, value, optional }) => {
        const taken = value === null || optional ? '' : value === 'file' ? ' -r -F' : ' -x';
        const long = flag.replace(/^--/, '');
        return `complete -c ${name}${when([...seen, ...none])} -l ${long}${taken} -d ${quoted(description)}`;
      }),
    ];
  });
  return `# Completion of ${name} for fish; put it into ~/.config/fish/completions/${name}.fish
${lines.join('\n')}
`;
}
