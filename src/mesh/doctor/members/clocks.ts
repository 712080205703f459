/** The clocks of the API servers, compared with that of this workstation and with each other. */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { orPassed, passed, warned } from '../catalogue.ts';
import type { Member } from '../facts.ts';
import { joined, labelsOf } from '../subjects.ts';

/** New certificates are not valid yet where a clock is behind, and ages of mirrors are wrong. */
const MAX_SKEW_MS = 30_000;

const REMEDY = 'synchronize the clocks of the nodes with NTP: chronyc tracking, timedatectl status';

export function clockSkew(member: Member): readonly Finding[] {
  const { clock, label } = member;
  if (clock === 'unread') return [];
  const text = `the API server ${distance(clock.offsetMs)} this workstation`;
  if (Math.abs(clock.offsetMs) - clock.errorMs <= MAX_SKEW_MS) return [passed('clock-skew', label, text)];
  return [warned('clock-skew', label, text, `${REMEDY}; or that of this workstation`)];
}

export function equalClocks(members: readonly Member[]): readonly Finding[] {
  const known = members.flatMap(({ label, clock }) => (clock === 'unread' ? [] : [{ label, clock }]));
  if (known.length < 2) return [];
  const first = known.reduce((one, other) => (other.clock.offsetMs < one.clock.offsetMs ? other : one));
  const last = known.reduce((one, other) => (other.clock.offsetMs > one.clock.offsetMs ? other : one));
  const skewMs = last.clock.offsetMs - first.clock.offsetMs;
  const isApart = skewMs - first.clock.errorMs - last.clock.errorMs > MAX_SKEW_MS;
  const evidence = `the clock of ${last.label} is ${seconds(skewMs)} ahead of that of ${first.label}`;
  const findings = isApart ? [warned('equal-clocks', joined([first.label, last.label]), evidence, REMEDY)] : [];
  return orPassed(findings, 'equal-clocks', labelsOf(members), `clocks differ by at most ${seconds(skewMs)}`);
}

function distance(offsetMs: number): string {
  return `is ${seconds(Math.abs(offsetMs))} ${offsetMs < 0 ? 'behind' : 'ahead of'}`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
