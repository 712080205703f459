/** The mesh at a glance: how many clusters are ready, those with problems first, search, and filters by state. */
import type { RemoteCondition, RemoteSummary, Role } from '../snapshot.ts';
import { ClusterList } from './cluster-list.ts';
import { CONDITIONS, isProblem, sign, urgency, word } from './conditions.ts';
import { byId, el, fill } from './dom.ts';
import { count, counted } from './format.ts';

/** More clusters than these are tiles. */
const MAX_CARDS = 24;

/** The headline without clusters. */
const NONE: Readonly<Record<Role, string>> = { starting: 'Starting', leader: 'No remote clusters', standby: 'Standing by' };

type Filter = RemoteCondition | 'all' | 'problems';

export class Overview {
  readonly #cards = new ClusterList(byId('cards'), 'card');
  readonly #tiles = new ClusterList(byId('tiles'), 'tile');
  readonly #find = byId('find') as HTMLInputElement;
  #filter: Filter = 'all';
  #remotes: readonly RemoteSummary[] = [];
  #role: Role = 'starting';

  constructor() {
    this.#find.addEventListener('input', () => this.#show());
    this.#find.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') this.search('');
    });
  }

  /** Puts the focus into the search. */
  focusSearch(): void {
    this.#find.focus();
    this.#find.select();
  }

  search(text: string): void {
    this.#find.value = text;
    this.#show();
  }

  focusCluster(name: string): void {
    if (!this.#cards.focus(name) && !this.#tiles.focus(name)) byId('main').focus();
  }

  show(remotes: readonly RemoteSummary[], role: Role): void {
    this.#remotes = remotes.toSorted((a, b) => urgency(a.condition) - urgency(b.condition) || compare(a.name, b.name));
    this.#role = role;
    this.#show();
  }

  #show(): void {
    const counts = new Map(
      CONDITIONS.map((condition) => [condition, this.#remotes.filter((each) => each.condition === condition).length]),
    );
    this.#showHead(counts);
    this.#showFilters(counts);
    const text = this.#find.value.trim().toLowerCase();
    const found = this.#remotes.filter((remote) => this.#passes(remote) && remote.name.toLowerCase().includes(text));
    const isFiltered = text !== '' || this.#filter !== 'all';
    const all = this.#remotes.length;
    byId('found').textContent = isFiltered ? `${count(found.length)} of ${counted(all, 'cluster')} shown` : '';
    const [cards, tiles] = divided(found);
    // Next to tiles, cards are short.
    byId('cards').classList.toggle('short', tiles.length > 0);
    this.#cards.show(cards);
    this.#tiles.show(tiles);
  }

  #passes({ condition }: RemoteSummary): boolean {
    if (this.#filter === 'all') return true;
    return this.#filter === 'problems' ? isProblem(condition) : condition === this.#filter;
  }

  #showHead(counts: ReadonlyMap<RemoteCondition, number>): void {
    const all = this.#remotes.filter(({ condition }) => condition !== 'draining').length;
    const ready = (counts.get('ready') ?? 0) + (counts.get('warning') ?? 0);
    byId('headline').textContent = all === 0 ? NONE[this.#role] : `${count(ready)} of ${counted(all, 'cluster')} ready`;
    const parts = CONDITIONS.toReversed().filter((condition) => (counts.get(condition) ?? 0) > 0);
    const bars = parts.map((condition) => {
      const bar = el('span', { class: condition });
      bar.style.flexGrow = String(counts.get(condition));
      return bar;
    });
    fill(byId('share'), ...bars);
  }

  #showFilters(counts: ReadonlyMap<RemoteCondition, number>): void {
    const problems = CONDITIONS.filter(isProblem).reduce((sum, condition) => sum + (counts.get(condition) ?? 0), 0);
    const choices: (readonly [Filter, string, number])[] = [
      ['all', 'All', this.#remotes.length],
      ['problems', 'Problems', problems],
      ...CONDITIONS.map((condition) => [condition, word(condition), counts.get(condition) ?? 0] as const),
    ];
    const group = byId('filters');
    const shown = choices.filter(([filter, , size]) => size > 0 || filter === 'all' || filter === this.#filter);
    const key = JSON.stringify([shown, this.#filter]);
    if (group.dataset.key === key) return;
    group.dataset.key = key;
    const focused = (document.activeElement as HTMLElement | null)?.dataset.filter;
    fill(group, ...shown.map((choice) => this.#button(choice)));
    if (focused !== undefined) group.querySelector<HTMLElement>(`[data-filter="${focused}"]`)?.focus();
  }

  #button([filter, text, size]: readonly [Filter, string, number]): HTMLElement {
    const isState = filter !== 'all' && filter !== 'problems';
    const button = el(
      'button',
      { type: 'button', 'data-filter': filter, 'aria-pressed': String(filter === this.#filter) },
      isState && sign(filter),
      `${text} `,
      el('span', { class: 'count' }, count(size)),
    );
    button.addEventListener('click', () => {
      this.#filter = filter === this.#filter ? 'all' : filter;
      this.#show();
    });
    return button;
  }
}

/** Few clusters are cards. Of many, those that need attention are, unless they are many too. */
function divided(remotes: readonly RemoteSummary[]): readonly [cards: readonly RemoteSummary[], tiles: readonly RemoteSummary[]] {
  if (remotes.length <= MAX_CARDS) return [remotes, []];
  const urgent = remotes.filter(({ condition }) => condition !== 'ready');
  if (urgent.length > MAX_CARDS) return [[], remotes];
  return [urgent, remotes.filter(({ condition }) => condition === 'ready')];
}

function compare(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
