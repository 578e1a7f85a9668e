const SKIPPED = /^ *ok \d+ - (.*?) # SKIP ?(.*)$/;
const FAILED = /^( *)not ok \d+/;
/** The last line of tap's output, which counts. */
const SUMMARY = /^# (\{ total|time=)/;
/** Lines of one failure that are shown. */
const LONGEST = 60;

/** Takes the lines of a TAP stream, and passes on what a person wants to see of it. */
export class FailureFilter {
  #print;
  #file = null;
  #shown = null;
  /** Indentation and lines of the failure that is being shown; null: none is. */
  #failure = null;

  /** @param print gets each line */
  constructor(print) {
    this.#print = print;
  }

  take(line) {
    const [, file] = /^# Subtest: (\S*\.js)$/.exec(line) ?? [];
    if (file !== undefined) this.#file = file;
    const [, test, reason] = SKIPPED.exec(line) ?? [];
    if (test !== undefined) this.#print(`~ skipped ${test}: ${reason}`);
    const failed = FAILED.exec(line);
    if (failed && !line.includes('# TODO')) this.#begin(failed[1].length, line);
    else if (this.#failure) this.#goOn(line);
    else if (SUMMARY.test(line)) this.#print(line);
  }

  #begin(indent, line) {
    if (this.#file !== this.#shown) this.#print(`\nFAILED ${this.#file}`);
    this.#shown = this.#file;
    this.#failure = { indent, lines: 1 };
    this.#print(line);
  }

  // The diagnostics of a failure are indented by two more, between --- and ....
  #goOn(line) {
    const { indent } = this.#failure;
    const isPart = line.trim() === '' || line.startsWith(' '.repeat(indent + 2));
    if (!isPart || this.#failure.lines++ > LONGEST) {
      this.#failure = null;
      this.take(line);
      return;
    }
    this.#print(line);
    if (line === `${' '.repeat(indent + 2)}...`) this.#failure = null;
  }
}
