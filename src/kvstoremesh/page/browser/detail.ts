/** One remote cluster: what is wrong and what to do, its last hour, what is mirrored of it, and what happened to it. */
import type { KindSummary, MeshSummary, RemoteDetail, RemoteEventSummary, RemoteSummary } from '../snapshot.ts';
import { chart } from './chart.ts';
import { behind } from './cluster-list.ts';
import { badge } from './conditions.ts';
import { byId, el, fill } from './dom.ts';
import { bytes, clockTime, count, counted, dateOf, rate, serverNow, since, span } from './format.ts';

/** Of an hour, as the server takes them. */
const SAMPLES = 120;
/** Below this a chart of staleness would only show the rhythm of the answers. */
const LEAST_LAG = 30;
/** Of the days that a certificate has left. */
const DAY_MS = 86_400_000;

const EVENTS: Readonly<Record<string, string>> = {
  added: 'Added',
  connected: 'Connected',
  disconnected: 'Disconnected; the last known state is kept',
  unreachable: 'Cannot connect',
  waiting: 'Waiting for a valid cluster config',
  restored: 'The cluster config is valid again',
  refused: 'Refused',
  mirroring: 'Accepted; mirroring begins',
  listed: 'Listed completely',
  stopped: 'Stopped: it exceeds a limit',
  resumed: 'Within its limits again; mirroring resumed',
  silent: 'No heartbeat',
  beating: 'Heartbeat again',
  reconfigured: 'Its file has changed; reconnecting',
  unreadable: 'Its file cannot be read; the last configuration is kept',
  readable: 'Its file can be read again',
  withdrawn: 'Unreachable for too long; its services are withdrawn',
  held: 'Unreachable for too long, and so are most others; its services are kept',
  quarantined: 'In quarantine',
  released: 'Quarantine released; connecting',
  removed: 'Its file was removed; draining',
  returned: 'Its file has returned; connecting once its keys are removed',
};

export class DetailView {
  readonly #article = byId('detail');
  readonly #title = el('h1', { id: 'detail-name', tabindex: -1 });
  readonly #body = el('div', { class: 'detail' });
  #shown: unknown[] = [];

  constructor() {
    fill(
      this.#article,
      el('nav', { 'aria-label': 'Back' }, el('a', { class: 'back', href: '#/' }, '← All clusters')),
      this.#title,
      this.#body,
    );
  }

  focus(): void {
    this.#title.focus();
  }

  /** `remote`: undefined where there is none of the name. */
  show(name: string, remote: RemoteSummary | undefined, detail: RemoteDetail | undefined, mesh: MeshSummary | undefined): void {
    const shown = [name, remote, detail, mesh?.importGuard];
    if (shown.every((part, at) => part === this.#shown[at])) return;
    this.#shown = shown;
    this.#title.textContent = name;
    if (remote === undefined) {
      fill(this.#body, el('p', {}, 'There is no such cluster: it was removed, or another replica leads.'));
      return;
    }
    fill(
      this.#body,
      el('p', { class: 'under' }, badge(remote.condition), since(remote.since, ' for '), idText(remote)),
      remote.reasons !== undefined && advice(remote.reasons, remote),
      el('div', { class: 'charts' }, ...chartsOf(detail)),
      el('div', { class: 'columns' }, kinds(remote), facts(remote)),
      detail !== undefined && certificates(detail),
      findings(remote, detail, mesh?.importGuard ?? ''),
      detail !== undefined && history(detail.events),
    );
  }
}

function idText({ id }: RemoteSummary): string {
  return id === undefined ? '' : ` · cluster ID ${id}`;
}

function advice(reasons: readonly string[], { command, condition }: RemoteSummary): HTMLElement {
  return el(
    'section',
    { class: `advice ${condition}`, 'aria-labelledby': 'advice' },
    el('h2', { id: 'advice' }, 'What is wrong, and what to do'),
    ...reasons.map((reason) => el('p', {}, reason)),
    command !== undefined && el('p', {}, 'To check the connection step by step, run in the Pod:'),
    command !== undefined && el('p', {}, el('code', {}, command)),
  );
}

function chartsOf(detail: RemoteDetail | undefined): HTMLElement[] {
  const series = (values: readonly number[] | undefined, least: number) => ({ values: values ?? [], slots: SAMPLES, least });
  return [
    chart(series(detail?.rate, 1), 'rate', { title: 'Changes per second', format: rate }),
    chart(series(detail?.lag, LEAST_LAG), 'lag', { title: 'Behind by at most', format: span }),
  ];
}

type Rows = readonly (readonly (Node | string)[])[];

function table(caption: string, headings: readonly string[], rows: Rows, className = ''): HTMLElement {
  const cells = (row: readonly (Node | string)[]) =>
    row.map((cell, at) => (at === 0 ? el('th', { scope: 'row' }, cell) : el('td', {}, cell)));
  return el(
    'table',
    { class: className },
    el('caption', {}, caption),
    el('thead', {}, el('tr', {}, ...headings.map((heading) => el('th', { scope: 'col' }, heading)))),
    el('tbody', {}, ...rows.map((row) => el('tr', {}, ...cells(row)))),
  );
}

const KIND_STATES: Readonly<Record<KindSummary['state'], string>> = {
  listed: 'listed',
  loading: 'not listed yet',
  off: 'not mirrored',
};

function kinds({ kinds: all, condition }: RemoteSummary): HTMLElement | false {
  if (all.length === 0) return false;
  const isConnected = !['connecting', 'unreachable', 'refused'].includes(condition);
  const stateOf = ({ state }: KindSummary) => (isConnected ? KIND_STATES[state] : 'last known');
  return table(
    'Mirrored keys',
    ['Kind', 'Keys', 'State'],
    all.map((kind) => [kind.name, count(kind.keys), stateOf(kind)]),
  );
}

function facts(remote: RemoteSummary): HTMLElement | false {
  const { keys, bytes: size, failures, lastFailure, condition, imported } = remote;
  if (condition === 'draining') return false;
  const losses = lastFailure === undefined ? 'none' : `${count(failures)}, last at ${clockTime(lastFailure)}`;
  return table(
    'Mirror',
    ['Fact', 'Value'],
    [
      ['Keys', count(keys)],
      ['Size', bytes(size)],
      ['Behind by at most', behind(remote)],
      ['Lost connections', losses],
      ...(imported === undefined ? [] : [['Import policy', imported]]),
    ],
    'facts',
  );
}

function certificates({ certificates: all }: RemoteDetail): HTMLElement | false {
  if (all.length === 0) return false;
  const left = (expires: number) => {
    const days = Math.floor((expires - serverNow()) / DAY_MS);
    return days < 0 ? 'expired' : `in ${counted(days, 'day')}`;
  };
  const rows = all.map(({ what, expires }) => [what, dateOf(expires), left(expires)]);
  return table('Certificates of the connection', ['Certificate', 'Expires', 'Left'], rows);
}

function findings({ findings: counts }: RemoteSummary, detail: RemoteDetail | undefined, mode: string): HTMLElement | false {
  if (counts === undefined) return false;
  const all = Object.values(counts).reduce((sum, size) => sum + size, 0);
  const listed = detail?.findings ?? [];
  const action = mode === 'drop' ? 'these values are not mirrored' : 'these values are mirrored all the same';
  const caption = `Findings of the import guard: ${count(all)}${listed.length < all ? `, the first ${listed.length} of them` : ''}; ${action}`;
  return table(
    caption,
    ['Key', 'Kind', 'Problem'],
    listed.map(({ key, kind, problem }) => [el('code', {}, key), kind, problem]),
  );
}

function history(events: readonly RemoteEventSummary[]): HTMLElement {
  const rows = events.map(({ kind, first, last, count: times, reason }) =>
    el(
      'li',
      { class: `event ${kind}` },
      el('time', { datetime: new Date(last).toISOString() }, clockTime(last)),
      el(
        'div',
        {},
        el('strong', {}, EVENTS[kind] ?? kind),
        times > 1 && el('span', { class: 'muted' }, ` ${count(times)} times since ${clockTime(first)}`),
        reason !== undefined && el('p', {}, reason),
      ),
    ),
  );
  return el(
    'section',
    { 'aria-labelledby': 'events' },
    el('h2', { id: 'events' }, 'What happened, the newest first'),
    rows.length === 0 ? el('p', { class: 'muted' }, 'Nothing yet.') : el('ol', { class: 'events' }, ...rows),
  );
}
