/** The states of a remote cluster: words, order and a sign for each, so that colour is never the only difference. */
import type { RemoteCondition } from '../snapshot.ts';
import { el, svg } from './dom.ts';

interface Look {
  readonly word: string;
  /** Strokes in a square of 16. */
  readonly sign: string;
  readonly isProblem: boolean;
}

/** The most urgent first. */
const LOOKS: Readonly<Record<RemoteCondition, Look>> = {
  refused: { word: 'Refused', sign: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8M3.8 3.8l8.4 8.4', isProblem: true },
  stopped: {
    word: 'Stopped',
    sign: 'M5.4 1.8h5.2l3.6 3.6v5.2l-3.6 3.6H5.4l-3.6-3.6V5.4zM6.3 5.6v4.8M9.7 5.6v4.8',
    isProblem: true,
  },
  unreachable: { word: 'Unreachable', sign: 'M3.2 3.2l9.6 9.6M12.8 3.2l-9.6 9.6', isProblem: true },
  warning: { word: 'Warning', sign: 'M8 2.2 14.4 13.4H1.6zM8 6.4v3.2M8 11.4v.2', isProblem: true },
  quarantined: { word: 'In quarantine', sign: 'M3.4 7.2h9.2v6.6H3.4zM5.4 7.2V5a2.6 2.6 0 0 1 5.2 0v2.2', isProblem: false },
  draining: { word: 'Draining', sign: 'M8 2v8M4.6 7 8 10.4 11.4 7M3 14h10', isProblem: false },
  loading: { word: 'Loading', sign: 'M14 8a6 6 0 1 1-3-5.2M11.4.8v2.4H9', isProblem: false },
  connecting: { word: 'Connecting', sign: 'M3.2 8h.1M8 8h.1M12.8 8h.1', isProblem: false },
  ready: { word: 'Ready', sign: 'M2.8 8.6l3.4 3.4 7-8', isProblem: false },
};

export const CONDITIONS = Object.keys(LOOKS) as readonly RemoteCondition[];

export function word(condition: RemoteCondition): string {
  return LOOKS[condition].word;
}

export function isProblem(condition: RemoteCondition): boolean {
  return LOOKS[condition].isProblem;
}

/** Lower ones are more urgent. */
export function urgency(condition: RemoteCondition): number {
  return CONDITIONS.indexOf(condition);
}

/** The sign alone; what is next to it has the word. */
export function sign(condition: RemoteCondition): SVGElement {
  const path = svg('path', { d: LOOKS[condition].sign });
  return svg('svg', { viewBox: '0 0 16 16', class: `sign ${condition}`, 'aria-hidden': 'true', focusable: 'false' }, path);
}

export function badge(condition: RemoteCondition): HTMLElement {
  return el('span', { class: `badge ${condition}` }, sign(condition), word(condition));
}
