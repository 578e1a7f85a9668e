/**
 * The part of the browser's interface that the page uses. Written down here, because with the
 * library of the whole DOM the server's code would compile against a browser's globals too.
 */
export interface PageElement {
  textContent: string | null;
  hidden: boolean;
  disabled: boolean;
  onclick: (() => void) | null;
  className: string;
  dataset: Record<string, string | undefined>;
  style: { width: string };
  setAttribute(name: string, value: string): void;
  replaceChildren(...nodes: PageElement[]): void;
  append(...nodes: PageElement[]): void;
}

export interface PageDocument {
  title: string;
  getElementById(id: string): PageElement | null;
  createElement(name: string): PageElement;
}

interface PageEventSource {
  readonly readyState: number;
  addEventListener(name: string, listener: (event: { data: string }) => void): void;
  close(): void;
}

/** What the page sends, and what it reads of the response. */
export interface PageWindow {
  fetch: (
    url: string,
    options: { method: string; headers: Record<string, string> },
  ) => Promise<{ json(): Promise<unknown> }>;
}

export type EventSourceClass = new (url: string) => PageEventSource;
