/** A real Chromium without a window: that of the PATH, or the packages of the distribution that the test command has unpacked. */
import { existsSync, globSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import { temporaryDirectory } from '../temporary-directory.ts';

const PACKAGES = join(import.meta.dirname, '../../../.cache/tools/chromium');

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Undefined where there is none. */
export function findChromium(): string | undefined {
  const installed = (process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, 'chromium'));
  return [...installed, join(PACKAGES, 'usr/lib/chromium/chromium')].find((path) => existsSync(path));
}

/** With an empty profile of its own. Throws where there is no Chromium. */
export async function startChromium(): Promise<BrowserContext> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error('needs chromium');
  const directory = temporaryDirectory('chromium');
  return chromium.launchPersistentContext(join(directory, 'profile'), {
    executablePath,
    args: FLAGS,
    env: executablePath.startsWith(PACKAGES) ? unpackedEnvironment(directory) : { ...process.env, HOME: directory },
    viewport: { width: 1280, height: 900 },
  });
}

const SYSTEM_FONTS = '<include ignore_missing="yes">/etc/fonts/fonts.conf</include>';

/** Where the packages have their libraries and fonts, besides those of the machine. */
function unpackedEnvironment(directory: string): Record<string, string> {
  const libraries = globSync('usr/lib/*-linux-*{,/pulseaudio}', { cwd: PACKAGES }).map((path) => join(PACKAGES, path));
  const fonts = join(directory, 'fonts.conf');
  const folders = ['/usr/share/fonts', join(PACKAGES, 'usr/share/fonts')].map((path) => `<dir>${path}</dir>`);
  writeFileSync(fonts, `<fontconfig>${SYSTEM_FONTS}${folders.join('')}<cachedir>${directory}/fonts</cachedir></fontconfig>\n`);
  const variables = { HOME: directory, FONTCONFIG_FILE: fonts, LD_LIBRARY_PATH: libraries.join(delimiter) };
  return { ...(process.env as Record<string, string>), ...variables };
}
