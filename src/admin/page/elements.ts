import { printable } from '../../base/printable.ts';
import type { PageDocument, PageElement } from './dom.ts';
import { formatCount } from './format.ts';

declare const document: PageDocument;

/** Makes elements. Everything that comes from outside becomes text, escaped, and never markup. */

export function element(id: string): PageElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found;
}

export function setText(id: string, text: string | number | null): void {
  const target = element(id);
  const shown = text === null || text === '' ? '–' : printable(String(text));
  // An unchanged live region must not be read out again.
  if (target.textContent !== shown) target.textContent = shown;
}

export function row(cells: readonly (string | PageElement)[]): PageElement {
  const line = tableRow();
  for (const content of cells) {
    const box = tableCell(typeof content === 'string' ? content : '');
    if (typeof content !== 'string') {
      box.append(content);
      box.className = content.className === 'path' ? 'wide' : '';
    }
    line.append(box);
  }
  return line;
}

// With roles, because narrow windows lay tables out as blocks, which takes their meaning away.
function tableRow(): PageElement {
  const line = document.createElement('tr');
  line.setAttribute('role', 'row');
  return line;
}

function tableCell(text: string): PageElement {
  const box = cell('td', text);
  box.setAttribute('role', 'cell');
  return box;
}

export function emptyRow(text: string, span: number): PageElement {
  const line = tableRow();
  const box = tableCell(text);
  box.setAttribute('colspan', String(span));
  box.className = 'empty';
  line.append(box);
  return line;
}

export function cell(name: string, text: string): PageElement {
  const made = document.createElement(name);
  made.textContent = printable(text);
  return made;
}

/** A path that may break after its slashes. */
export function path(text: string): PageElement {
  const made = document.createElement('code');
  made.className = 'path';
  for (const part of text.split(/(?<=\/)/)) {
    made.append(cell('span', part), document.createElement('wbr'));
  }
  return made;
}

export function tag(kind: string): PageElement {
  const made = cell('span', kind);
  made.className = 'tag';
  made.dataset.kind = kind;
  return made;
}

export function number(count: number): PageElement {
  const made = cell('span', count === 0 ? '·' : formatCount(count));
  made.className = count === 0 ? 'num zero' : 'num';
  return made;
}

/** How much of something is used, as a bar. Not a `meter`, which each browser draws in its own way. */
export function bar(used: number, limit: number, label: string): PageElement {
  const share = limit > 0 ? Math.min(1, used / limit) : 1;
  const filled = document.createElement('div');
  // Set like this, it is no inline style to the content security policy.
  filled.style.width = `${share * 100}%`;
  const made = document.createElement('div');
  made.className = 'meter';
  made.dataset.level = share >= 0.95 ? 'high' : share >= 0.8 ? 'near' : 'low';
  const values = { role: 'meter', 'aria-valuemin': 0, 'aria-valuemax': 100 };
  for (const [name, value] of Object.entries(values)) made.setAttribute(name, String(value));
  made.setAttribute('aria-valuenow', String(Math.round(share * 100)));
  made.setAttribute('aria-label', printable(label));
  made.append(filled);
  return made;
}
