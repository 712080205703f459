/**
 * Columns of `kubectl get` that many kinds have.
 */
import { at, textOf } from '../objects/json.ts';
import { nameOf } from '../objects/kubernetes-object.ts';
import { column } from './resource-kind.ts';

export const NAME_COLUMN = column('Name', nameOf);

export const AGE_COLUMN = column('Age', (object, nowMs) => {
  const created = textOf(at(object, 'metadata', 'creationTimestamp'));
  return created === undefined ? '<unknown>' : age(nowMs - Date.parse(created));
});

/** The two largest units at most, as kubectl prints ages: `45s`, `3m12s`, `5h`, `12d`. */
function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return two(minutes, 'm', seconds % 60, 's');
  if (hours < 3) return `${minutes}m`;
  if (hours < 8) return two(hours, 'h', minutes % 60, 'm');
  if (days < 2) return `${hours}h`;
  if (days < 8) return two(days, 'd', hours % 24, 'h');
  return `${days}d`;
}

function two(large: number, unit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${unit}` : `${large}${unit}${small}${smallUnit}`;
}
