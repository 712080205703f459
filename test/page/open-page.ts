/** The status page in a browser, as a user sees it, and what a user does not see: requests to elsewhere, errors, violations. */
import { readFileSync } from 'node:fs';
import type { Result, RunOptions } from 'axe-core';
import type { BrowserContext, Page } from 'playwright-core';

const AXE = readFileSync(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

export const WIDE = { width: 1280, height: 900 };
export const PHONE = { width: 320, height: 640 };

export class OpenPage implements AsyncDisposable {
  readonly page: Page;
  /** What is to stay empty: errors, violations of the policy, requests to other origins. */
  readonly faults: string[] = [];
  /** Bytes of the bodies of the files, by path. */
  readonly files = new Map<string, number>();

  private constructor(page: Page) {
    this.page = page;
  }

  static async open(browser: BrowserContext, url: string): Promise<OpenPage> {
    const opened = new OpenPage(await browser.newPage());
    await opened.#observe(new URL(url).origin);
    await opened.page.goto(url);
    return opened;
  }

  async #observe(origin: string): Promise<void> {
    const { page, faults, files } = this;
    page.on('pageerror', (error) => faults.push(error.message));
    // A connection that is cut is no fault of the page.
    page.on('console', (message) => {
      if (message.type() === 'error' && !/net::ERR_|Failed to load resource/.test(message.text())) faults.push(message.text());
    });
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(`${origin}/`) && !/^(?:data|about):/.test(url)) faults.push(`request to ${url}`);
    });
    page.on('response', (response) => {
      const { pathname } = new URL(response.url());
      if (!pathname.startsWith('/v1/'))
        void response.body().then(
          (body) => files.set(pathname, body.length),
          () => undefined,
        );
    });
  }

  /** Resolves when the state of the server is shown. */
  async live(): Promise<void> {
    await this.page.locator('#live').getByText('Live', { exact: true }).waitFor();
  }

  /** The texts of elements, once there are as many as wanted. */
  async texts(selector: string): Promise<string[]> {
    return this.page.locator(selector).allInnerTexts();
  }

  /** The card or tile of the cluster. */
  cluster(name: string) {
    return this.page.locator(`#cards a, #tiles a`).filter({ has: this.page.getByText(name, { exact: true }) });
  }

  /** Resolves when the cluster is shown in that state. */
  async shows(name: string, state: string): Promise<void> {
    await this.cluster(name).getByText(state, { exact: true }).first().waitFor({ timeout: 45_000, state: 'attached' });
  }

  /** What axe finds wrong, one line each. */
  async axe(options: RunOptions = {}): Promise<string[]> {
    await this.page.evaluate(AXE);
    const run = `axe.run(${JSON.stringify(options)}).then(({ violations }) => violations)`;
    const violations = (await this.page.evaluate(run)) as Result[];
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
  }

  /** How many pixels the page is wider than the window. */
  async overflow(): Promise<number> {
    return this.page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.close();
  }
}
