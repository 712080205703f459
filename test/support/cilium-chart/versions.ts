/** Where the charts of the releases differ in what they make of the same values. */

export const VERSIONS = ['1.15', '1.16', '1.17', '1.18', '1.19', '1.20'] as const;

export type CiliumVersion = (typeof VERSIONS)[number];

export type AuthMode = 'legacy' | 'migration' | 'cluster';

/** Whether the release is `other` or later. */
export function isFrom(version: CiliumVersion, other: CiliumVersion): boolean {
  return VERSIONS.indexOf(version) >= VERSIONS.indexOf(other);
}

export function defaultAuthMode(version: CiliumVersion): AuthMode {
  return isFrom(version, '1.19') ? 'migration' : 'legacy';
}

/** Beta in 1.15. */
export function hasKvstoremeshByDefault(version: CiliumVersion): boolean {
  return isFrom(version, '1.16');
}
