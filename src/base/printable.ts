/**
 * Text that a foreign server, a file or a person gave, so that a terminal only shows it: control
 * characters, invisible ones, and those that turn the direction of reading are written as `\\u001b`,
 * which is an escape in JSON too. Line breaks count; split a text of several lines first.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from({ length: character.length }, (_, i) => {
      return `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
    }).join(''),
  );
}

/** The same for a text that belongs on one line: breaks and tabs become spaces. */
export function onOneLine(text: string): string {
  return printable(text.replaceAll(/\s*[\r\n\t]\s*/g, ' '));
}
