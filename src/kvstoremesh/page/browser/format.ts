/** Numbers and times as text. */
import { el } from './dom.ts';

const WHOLE = new Intl.NumberFormat('en');
const SHORT = new Intl.NumberFormat('en', { maximumSignificantDigits: 2 });

/** 12,345 */
export function count(value: number): string {
  return WHOLE.format(value);
}

/** `1 cluster`, `2 clusters` */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  const unit = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  const shown = value / 2 ** (10 * unit);
  return `${shown < 10 && unit > 0 ? shown.toFixed(1) : Math.round(shown)} ${units[unit]}`;
}

/** Per second. */
export function rate(value: number): string {
  return `${value >= 100 ? WHOLE.format(Math.round(value)) : SHORT.format(value)}/s`;
}

/** `4 s`, `12 min`, `3 h`, `2 d`, in whole units. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 120) return `${whole} s`;
  if (whole < 7_200) return `${Math.floor(whole / 60)} min`;
  if (whole < 172_800) return `${Math.floor(whole / 3_600)} h`;
  return `${count(Math.floor(whole / 86_400))} d`;
}

/** The time of the day, with the date if it is not today. */
export function clockTime(ms: number): string {
  const date = new Date(ms);
  const time = date.toLocaleTimeString('en-GB');
  return date.toDateString() === new Date().toDateString() ? time : `${dateOf(ms)} ${time}`;
}

/** 2026-02-03 */
export function dateOf(ms: number): string {
  return new Date(ms).toLocaleDateString('sv');
}

/** `for 3 min`, which `refreshTimes` keeps up to date. */
export function since(ms: number, before: string, after = ''): HTMLTimeElement {
  const element = el('time', {
    datetime: new Date(ms).toISOString(),
    title: clockTime(ms),
    'data-before': before,
    'data-after': after,
  });
  refresh(element);
  return element;
}

export function refreshTimes(): void {
  for (const element of document.querySelectorAll<HTMLTimeElement>('time[data-before]')) refresh(element);
}

/** How many milliseconds the clock of the server is ahead of that of the browser. */
let aheadMs = 0;

export function serverTimeIs(ms: number): void {
  aheadMs = ms - Date.now();
}

export function serverNow(): number {
  return Date.now() + aheadMs;
}

function refresh(element: HTMLTimeElement): void {
  const { before = '', after = '' } = element.dataset;
  const text = `${before}${span((serverNow() - Date.parse(element.dateTime)) / 1000)}${after}`;
  if (element.textContent !== text) element.textContent = text;
}
