/**
 * The part of the browser's interface that the page uses. Written down here, because with the
 * library of the whole DOM the server's code would compile against a browser's globals too.
 */
export interface PageElement {
  textContent: string | null;
  hidden: boolean;
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

export type EventSourceClass = new (url: string) => PageEventSource;
