/**
 * Builds the documentation as web pages in site/: README.md, ARCHITECTURE.md and their like, and everything in docs/. All links are
 * relative, so that the pages work from any path and from files, and nothing is requested from elsewhere.
 *
 *   npm run site [-- --output DIRECTORY]
 */
import { cpSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../steps.ts';
import { renderMarkdown } from './markdown.ts';

const NAME = 'clustermesh-apiserver';

/** In the order of the navigation; the rest of docs/ follows in the order of docs/README.md. */
const FIRST = ['README.md', 'docs/README.md'];
const LAST = ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'];

const STYLE = `:root { color-scheme: light dark; --line: #8885; --link: light-dark(#0a58ca, #8ab4f8); --code: light-dark(#f2f3f5, #26292e); }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; display: grid; grid-template-columns: 15rem minmax(0, 1fr); }
nav { padding: 1.5rem 1rem; border-right: 1px solid var(--line); font-size: .9rem; }
nav ul { list-style: none; margin: 0; padding: 0; position: sticky; top: 1.5rem; }
nav li { margin: .35rem 0; }
nav a[aria-current] { font-weight: 700; text-decoration: none; }
main { padding: 1.5rem 2rem 4rem; max-width: 62rem; }
a { color: var(--link); }
img { max-width: 100%; height: auto; }
pre { overflow-x: auto; padding: .8rem 1rem; background: var(--code); border-radius: 6px; line-height: 1.4; }
code { font: .9em ui-monospace, monospace; background: var(--code); border-radius: 4px; padding: .1em .25em; }
pre code { padding: 0; background: none; }
table { display: block; overflow-x: auto; border-collapse: collapse; }
th, td { border: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; }
@media (max-width: 50rem) { body { display: block; } nav { border: 0; border-bottom: 1px solid var(--line); } main { padding: 1rem; } }
`;

/** The Markdown files of the site, in the order of the navigation, with slashes. */
function sources(): readonly string[] {
  const inDocs = globSync('docs/**/*.md', { cwd: ROOT }).map((path) => path.replaceAll('\\', '/'));
  const named = renderMarkdown(readFileSync(join(ROOT, 'docs/README.md'), 'utf8')).links.map((link) =>
    posix.join('docs', link.replace(/#.*/, '')),
  );
  const place = (path: string) => (named.includes(path) ? named.indexOf(path) : named.length);
  const rest = inDocs.filter((path) => !FIRST.includes(path)).sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
  return [...FIRST, ...rest, ...LAST];
}

/** The page of a Markdown file. */
function pageOf(source: string): string {
  return source.replace(/README\.md$/, 'index.html').replace(/\.md$/, '.html');
}

class Site {
  readonly #output: string;
  readonly #sources = sources();
  readonly #copied = new Set<string>();

  constructor(output: string) {
    this.#output = output;
  }

  build(): void {
    rmSync(this.#output, { recursive: true, force: true });
    this.#write('style.css', STYLE);
    const titles = new Map(this.#sources.map((source) => [source, renderMarkdown(read(source)).title]));
    for (const source of this.#sources) {
      const { html } = renderMarkdown(read(source), (link) => this.#target(source, link));
      this.#write(pageOf(source), this.#page(source, html, titles));
    }
  }

  /** Where a link of `source` leads in the site. A file that is no page is copied, a directory with its files. */
  #target(source: string, link: string): string {
    if (/^[a-z]+:/.test(link) || link.startsWith('#')) return link;
    const [path = '', anchor] = link.split('#');
    const file = posix.join(posix.dirname(source), path);
    const suffix = anchor === undefined ? '' : `#${anchor}`;
    const isPage = this.#sources.includes(file);
    const isDirectory = !isPage && statSync(join(ROOT, file)).isDirectory();
    const target = isPage ? pageOf(file) : isDirectory ? this.#copyDirectory(file) : this.#copy(file);
    return `${posix.relative(posix.dirname(pageOf(source)), target)}${suffix}`;
  }

  #copy(file: string): string {
    if (!this.#copied.has(file)) {
      mkdirSync(dirname(join(this.#output, file)), { recursive: true });
      cpSync(join(ROOT, file), join(this.#output, file));
      this.#copied.add(file);
    }
    return file;
  }

  /** Its own page if it has a README among the sources; a list of its files otherwise. */
  #copyDirectory(directory: string): string {
    const readme = posix.join(directory, 'README.md');
    if (this.#sources.includes(readme)) return pageOf(readme);
    const files = readdirSync(join(ROOT, directory), { withFileTypes: true }).filter((entry) => entry.isFile());
    const page = posix.join(directory, 'index.html');
    const items = files.map(({ name }) => {
      this.#copy(posix.join(directory, name));
      return `<li><a href="${name}">${name}</a></li>`;
    });
    this.#write(
      page,
      document(directory, posix.relative(directory, 'style.css'), `<main><h1>${directory}</h1><ul>${items.join('')}</ul></main>`),
    );
    return page;
  }

  #page(source: string, html: string, titles: ReadonlyMap<string, string>): string {
    const here = posix.dirname(pageOf(source));
    const items = this.#sources
      .filter((each) => !/^docs\/(decisions|reference)\//.test(each) || each === source)
      .map((each) => {
        const current = each === source ? ' aria-current="page"' : '';
        return `<li><a href="${posix.relative(here, pageOf(each))}"${current}>${escaped(titles.get(each) ?? each)}</a></li>`;
      });
    const body = [
      '<a class="skip" href="#content">Skip to the content</a>',
      `<nav aria-label="Pages"><ul>\n${items.join('\n')}\n</ul></nav>`,
      `<main id="content">\n${html}</main>`,
    ];
    return document(titles.get(source) ?? source, posix.relative(here, 'style.css'), body.join('\n'));
  }

  #write(path: string, text: string): void {
    const file = join(this.#output, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

function read(source: string): string {
  return readFileSync(join(ROOT, source), 'utf8');
}

function document(title: string, style: string, body: string): string {
  const shown = title === NAME ? NAME : `${title} · ${NAME}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(shown)}</title>
<link rel="stylesheet" href="${style}">
</head>
<body>
${body}
</body>
</html>
`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

const { values } = parseArgs({ options: { output: { type: 'string', default: join(ROOT, 'site') } } });
new Site(values.output).build();
process.stdout.write(`${relative(process.cwd(), join(values.output, 'index.html'))}\n`);
