/** Markdown of this project as HTML, with the anchors that GitHub gives to headings. */
import MarkdownIt, { type Token } from 'markdown-it';

export interface Rendered {
  /** The first heading, without markup. */
  readonly title: string;
  readonly html: string;
  /** Of the headings. */
  readonly anchors: readonly string[];
  /** Targets of links and sources of images, as written. */
  readonly links: readonly string[];
}

const parser = new MarkdownIt({ html: true });

/** `target` returns what a link or an image refers to in the output. */
export function renderMarkdown(text: string, target: (link: string) => string = (link) => link): Rendered {
  const environment = {};
  const tokens = parser.parse(text, environment);
  const anchors: string[] = [];
  const links: string[] = [];
  let title = '';
  for (const [i, token] of tokens.entries()) {
    if (token.type === 'heading_open') {
      const heading = plainText(tokens[i + 1]);
      if (title === '') title = heading;
      const anchor = unused(slug(heading), anchors);
      anchors.push(anchor);
      token.attrSet('id', anchor);
    }
    for (const inner of token.children ?? []) {
      for (const attribute of ['href', 'src']) {
        const link = inner.attrGet(attribute);
        if (link === null) continue;
        links.push(link);
        inner.attrSet(attribute, target(link));
      }
    }
  }
  return { title, html: parser.renderer.render(tokens, parser.options, environment), anchors, links };
}

function plainText(token: Token | undefined): string {
  return (token?.children ?? []).map(({ content }) => content).join('');
}

/** In lower case, without punctuation, with a hyphen for each space. */
function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-');
}

function unused(anchor: string, taken: readonly string[]): string {
  if (!taken.includes(anchor)) return anchor;
  for (let i = 1; ; i += 1) if (!taken.includes(`${anchor}-${i}`)) return `${anchor}-${i}`;
}
