/**
 * The clusters as a list of links: as cards with charts, or as tiles where they are many.
 *
 * An element stays the same while its cluster changes, so that the focus stays where it is. In a list of tiles, one link is
 * in the order of the Tab key, and the arrow keys move to the others.
 */
import type { KindSummary, RemoteSummary } from '../snapshot.ts';
import { sparkline } from './chart.ts';
import { badge, sign, word } from './conditions.ts';
import { el, fill } from './dom.ts';
import { bytes, count, rate, since, span } from './format.ts';

export type Form = 'card' | 'tile';

/** Of an hour, as the server merges them. */
const SLOTS = 40;
/** Below this a chart of staleness would only show the rhythm of the answers. */
const LEAST_LAG = 30;

interface Item {
  readonly element: HTMLLIElement;
  readonly link: HTMLAnchorElement;
  remote: RemoteSummary;
}

function linkTo(cluster: string): string {
  return `#/cluster/${encodeURIComponent(cluster)}`;
}

export class ClusterList {
  readonly #list: HTMLElement;
  readonly #form: Form;
  #items = new Map<string, Item>();

  constructor(list: HTMLElement, form: Form) {
    this.#list = list;
    this.#form = form;
    if (form === 'tile') {
      list.addEventListener('keydown', (event) => this.#move(event));
      list.addEventListener('focusin', (event) => this.#setStop(event.target));
    }
  }

  /** Shows these clusters in this order. */
  show(remotes: readonly RemoteSummary[]): void {
    const items = new Map(remotes.map((remote) => [remote.name, this.#item(remote)]));
    const elements = [...items.values()].map(({ element }) => element);
    const isSame =
      elements.length === this.#list.children.length && elements.every((each, at) => this.#list.children[at] === each);
    if (!isSame) {
      const { activeElement } = document;
      this.#list.replaceChildren(...elements);
      if (activeElement instanceof HTMLElement && this.#list.contains(activeElement))
        activeElement.focus({ preventScroll: true });
    }
    this.#items = items;
    this.#list.hidden = remotes.length === 0;
    if (this.#form === 'tile' && this.#list.querySelector('a[tabindex="0"]') === null)
      this.#links[0]?.setAttribute('tabindex', '0');
  }

  /** Moves the focus to the cluster; false where it is not in this list. */
  focus(cluster: string): boolean {
    const item = this.#items.get(cluster);
    item?.link.focus();
    return item !== undefined;
  }

  get #links(): HTMLAnchorElement[] {
    return [...this.#items.values()].map(({ link }) => link);
  }

  #item(remote: RemoteSummary): Item {
    const known = this.#items.get(remote.name);
    if (known?.remote === remote) return known;
    const link = known?.link ?? el('a', { href: linkTo(remote.name), tabindex: this.#form === 'tile' ? -1 : undefined });
    const item = known ?? { element: el('li', {}, link), link, remote };
    item.remote = remote;
    link.className = `${this.#form} ${remote.condition}`;
    fill(link, ...(this.#form === 'card' ? cardOf(remote) : tileOf(remote)));
    return item;
  }

  #setStop(target: EventTarget | null): void {
    for (const link of this.#links) if (link !== target) link.setAttribute('tabindex', '-1');
    if (target instanceof HTMLAnchorElement) target.setAttribute('tabindex', '0');
  }

  #move(event: KeyboardEvent): void {
    const links = this.#links;
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const top = links[0]?.getBoundingClientRect().top;
    const columns = links.filter((link) => link.getBoundingClientRect().top === top).length;
    const targets: Readonly<Record<string, number>> = {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at - columns,
      ArrowDown: at + columns,
      Home: 0,
      End: links.length - 1,
    };
    const target = links[targets[event.key] ?? -1];
    if (target === undefined) return;
    event.preventDefault();
    target.focus();
  }
}

function tileOf({ name, condition }: RemoteSummary): Node[] {
  return [sign(condition), el('span', { class: 'name' }, name), el('span', { class: 'word' }, word(condition))];
}

function cardOf(remote: RemoteSummary): (Node | false)[] {
  const { name, condition, reasons = [], kinds, keys, bytes: size, rate: rates, lag, id } = remote;
  return [
    el('span', { class: 'card-head' }, el('span', { class: 'name' }, name), badge(condition)),
    el(
      'span',
      { class: 'muted small' },
      id === undefined ? '' : `cluster ID ${id} · `,
      since(remote.since, `${word(condition).toLowerCase()} for `),
    ),
    reasons.length > 0 && el('span', { class: 'reason' }, el('span', {}, reasonText(reasons))),
    el(
      'span',
      { class: 'sparks' },
      spark(
        'Changes',
        rates.length === 0 ? '–' : rate(rates.at(-1) ?? 0),
        sparkline({ values: rates, slots: SLOTS, least: 1 }, 'rate'),
      ),
      spark('Behind', behind(remote), sparkline({ values: lag, slots: SLOTS, least: LEAST_LAG }, 'lag')),
    ),
    keys > 0 && el('span', { class: 'muted small kinds' }, `${kindsText(kinds)} · ${bytes(size)}`),
  ];
}

function spark(what: string, value: string | Node, line: SVGElement): HTMLElement {
  return el(
    'span',
    { class: 'spark-box' },
    el('span', { class: 'small' }, el('span', { class: 'muted' }, `${what} `), value),
    line,
  );
}

/** How old the mirrored state may be. */
export function behind({ confirmed, condition }: RemoteSummary): string | Node {
  if (condition === 'draining') return '–';
  return confirmed === undefined ? `< ${span(15)}` : since(confirmed, '');
}

function reasonText([first = '', ...more]: readonly string[]): string {
  return more.length === 0 ? first : `(1 of ${more.length + 1}) ${first}`;
}

function kindsText(kinds: readonly KindSummary[]): string {
  const shown = kinds.filter(({ keys }) => keys > 0).map(({ name, keys }) => `${count(keys)} ${name}`);
  return shown.join(', ');
}
