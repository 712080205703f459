/** The status page: what it shows follows from the state of the mesh and from the address. */
import type { MeshSummary, RemoteSummary } from '../snapshot.ts';
import { isProblem, word } from './conditions.ts';
import { DetailView } from './detail.ts';
import { byId, el, fill } from './dom.ts';
import { clockTime, counted, refreshTimes } from './format.ts';
import { type Connection, Live, REFUSED_RETRY_MS } from './live.ts';
import { Overview } from './overview.ts';

/** How often ages on the page are updated. */
const TICK_MS = 1_000;
const CLUSTER = '#/cluster/';
/** More changes at once are told as a number. */
const MAX_TOLD = 3;

const overview = new Overview();
const detail = new DetailView();
let connection: Connection = { isRefused: false, lostMs: undefined, dataMs: undefined };
let told = '';

const live = new Live({
  changed: (before) => {
    tell(before);
    show();
  },
  connection: (now) => {
    connection = now;
    showBanners();
  },
});

/** The cluster that an address names: `#/cluster/west`. */
function chosen(address = location.href): string | undefined {
  const { hash } = new URL(address);
  if (!hash.startsWith(CLUSTER)) return undefined;
  try {
    return decodeURIComponent(hash.slice(CLUSTER.length)) || undefined;
  } catch {
    return undefined;
  }
}

function show(): void {
  const { mesh, remotes } = live;
  const name = chosen();
  byId('overview').hidden = name !== undefined;
  byId('detail').hidden = name === undefined;
  overview.show([...remotes.values()], mesh?.role ?? 'starting');
  if (name !== undefined) detail.show(name, remotes.get(name), live.detail, mesh);
  if (mesh !== undefined) showHead(mesh, [...remotes.values()]);
  showBanners();
}

const ROLES = { leader: 'leader', standby: 'standby', starting: 'starting' } as const;

function showHead({ name, id, role, host, version, importGuard }: MeshSummary, remotes: readonly RemoteSummary[]): void {
  fill(byId('own'), el('strong', {}, name), ` ID ${id} `, el('span', { class: `role ${role}` }, ROLES[role]));
  byId('foot').textContent = `${host} · version ${version} · import guard: ${importGuard}`;
  const problems = remotes.filter(({ condition }) => isProblem(condition)).length;
  document.title = `${problems > 0 ? `${counted(problems, 'problem')} – ` : ''}mesh of ${name}`;
}

/** Replaces the notices only where they differ: each one is read out. */
function showBanners(): void {
  const notices = noticesOf(live.mesh);
  const isLost = connection.lostMs !== undefined || connection.isRefused;
  const liveText = isLost ? 'Not live' : live.mesh === undefined ? 'Connecting…' : 'Live';
  const state = byId('live');
  if (state.textContent !== liveText) state.textContent = liveText;
  state.className = `live ${isLost ? 'lost' : ''}`;
  const text = JSON.stringify(notices);
  if (text === told) return;
  told = text;
  fill(byId('banners'), ...notices.map(([tone, notice]) => el('p', { class: `banner ${tone}` }, notice)));
}

function noticesOf(mesh: MeshSummary | undefined): (readonly [tone: string, text: string])[] {
  const { isRefused, lostMs, dataMs } = connection;
  const notices: (readonly [string, string])[] = [];
  if (isRefused) {
    const often = `It is updated every ${REFUSED_RETRY_MS / 1_000} seconds, without details`;
    notices.push(['info', `This page is not live: too many pages of this kvstoremesh are open. ${often}.`]);
  }
  if (lostMs !== undefined) {
    const data = dataMs === undefined ? 'There is no data yet.' : `What is shown is of ${clockTime(dataMs)}.`;
    notices.push(['bad', `Connection to kvstoremesh lost since ${clockTime(lostMs)}. ${data} Trying again.`]);
  }
  if (mesh === undefined) return notices;
  if (mesh.role === 'standby') {
    const leader = mesh.leader === undefined ? '' : ` It has the lock key ${mesh.leader}, which its log names.`;
    notices.push([
      'info',
      `This replica (${mesh.host}) stands by: another replica leads and mirrors the remote clusters.${leader}`,
    ]);
  }
  if (mesh.role === 'starting') notices.push(['info', 'Starting: waiting for the local etcd.']);
  for (const problem of mesh.problems) notices.push(['bad', `In this cluster: ${problem}`]);
  return notices;
}

/** Tells a screen reader which clusters are in another state than before. */
function tell(before: ReadonlyMap<string, RemoteSummary>): void {
  const { remotes } = live;
  const changed = [...remotes.values()].filter(({ name, condition }) => (before.get(name)?.condition ?? condition) !== condition);
  if (changed.length === 0) return;
  const single = changed.map(({ name, condition }) => `${name}: ${word(condition)}`).join(', ');
  byId('news').textContent = changed.length > MAX_TOLD ? `${counted(changed.length, 'cluster')} changed their state` : single;
}

function onAddress(): void {
  const name = chosen();
  live.follow(name);
  show();
  if (name !== undefined) detail.focus();
  scrollTo(0, 0);
}

addEventListener('hashchange', ({ oldURL }) => {
  onAddress();
  const left = chosen(oldURL);
  if (chosen() === undefined && left !== undefined) overview.focusCluster(left);
});

addEventListener('keydown', (event) => {
  const isTyping = event.target instanceof HTMLInputElement;
  if (event.key === 'Escape' && chosen() !== undefined) location.hash = '#/';
  if (event.key === '/' && !isTyping && chosen() === undefined) {
    event.preventDefault();
    overview.focusSearch();
  }
});

byId('skip').addEventListener('click', (event) => {
  event.preventDefault();
  byId('main').focus();
});

addEventListener('pagehide', () => live.close());
addEventListener('pageshow', ({ persisted }) => {
  if (persisted) location.reload();
});
setInterval(refreshTimes, TICK_MS);
onAddress();
