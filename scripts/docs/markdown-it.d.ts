/** The part of markdown-it that scripts/docs/site.ts uses; the package has no types. */
declare module 'markdown-it' {
  export interface Token {
    readonly type: string;
    readonly tag: string;
    readonly content: string;
    readonly children: readonly Token[] | null;
    attrGet(name: string): string | null;
    attrSet(name: string, value: string): void;
  }

  export default class MarkdownIt {
    constructor(options?: { readonly html?: boolean; readonly linkify?: boolean });
    readonly renderer: { render(tokens: readonly Token[], options: object, environment: object): string };
    readonly options: object;
    parse(text: string, environment: object): Token[];
  }
}
