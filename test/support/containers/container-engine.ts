/**
 * Servers of tests in containers, by way of testcontainers, for who has no binaries: `TEST_PROVIDER=containers`.
 *
 * The plan of a container is plain data. The reaper of testcontainers removes containers that a test leaves.
 */
import { userInfo } from 'node:os';
import { within } from '../until.ts';

export interface ContainerPlan {
  readonly image: string;
  /** The program and its flags, independent of the image's entry point. */
  readonly command: readonly string[];
  /** Ports of this machine, given to those of the container. */
  readonly ports: readonly { readonly container: number; readonly host: number }[];
  /** Files of this machine that are copied into the container. */
  readonly files: readonly { readonly source: string; readonly target: string }[];
  /** A directory of this machine that is the container's too; the program then runs as the user of the tests. */
  readonly directory?: { readonly source: string; readonly target: string };
  /** Answers over HTTP as soon as the program runs. */
  readonly health: { readonly path: string; readonly port: number; readonly isTls: boolean };
  /** Reached by `alias` from containers of the network called `name`. */
  readonly network?: { readonly name: string; readonly alias: string };
}

export interface RunningContainer {
  /** The process as its machine sees it. */
  readonly pid: number;
  /** The last lines it wrote. */
  readonly output: string;
  pause(): Promise<void>;
  unpause(): Promise<void>;
  /** SIGKILL; what the program wrote stays for `startAgain`. */
  kill(): Promise<void>;
  startAgain(): Promise<void>;
  remove(): Promise<void>;
}

/** Whether servers are to run in containers. Throws where the variable has another value. */
export function containersChosen(chosen = process.env.TEST_PROVIDER): boolean {
  if (chosen === undefined || chosen === '' || chosen === 'processes') return false;
  if (chosen === 'containers') return true;
  throw new Error(`TEST_PROVIDER=${chosen} is no provider of servers: leave it out, or set it to processes or containers`);
}

/** Why no container can be started here; undefined where one can. */
export async function containerEngineMissing(): Promise<string | undefined> {
  const { getContainerRuntimeClient } = await import('testcontainers');
  try {
    const { info } = await within('a container engine answers', getContainerRuntimeClient(), 5_000);
    // Tests reach every server at 127.0.0.1, through proxies of their own too.
    return info.containerRuntime.host === 'localhost' ? undefined : 'the container engine is on another machine';
  } catch {
    return 'no container engine answers';
  }
}

/** Starts a container, and waits until its program answers. */
export async function startContainer(plan: ContainerPlan): Promise<RunningContainer> {
  const { GenericContainer, Wait, getContainerRuntimeClient } = await import('testcontainers');
  const missing = await containerEngineMissing();
  if (missing !== undefined) throw new Error(`${missing}: start one, or leave out TEST_PROVIDER`);
  const [program = '', ...flags] = plan.command;
  const { path, port, isTls } = plan.health;
  const health = Wait.forHttp(path, port).forStatusCodeMatching(() => true);
  const container = new GenericContainer(plan.image)
    .withEntrypoint([program])
    .withCommand(flags)
    .withExposedPorts(...plan.ports)
    .withCopyFilesToContainer(plan.files.map((file) => ({ ...file, mode: 0o444 })))
    .withWaitStrategy(isTls ? health.usingTls().allowInsecure() : health);
  if (plan.directory !== undefined) {
    const { uid, gid } = userInfo();
    container.withBindMounts([plan.directory]).withUser(`${uid}:${gid}`);
  }
  if (plan.network !== undefined) container.withNetworkMode(plan.network.name).withNetworkAliases(plan.network.alias);
  const started = await container.start();
  const client = await getContainerRuntimeClient();
  const engine = client.container.getById(started.getId());
  let pid = 0;
  let output = '';
  const follow = async () => {
    pid = (await engine.inspect()).State.Pid;
    output = '';
    (await client.container.logs(engine)).on('data', (text: unknown) => {
      output = (output + String(text)).slice(-20_000);
    });
  };
  await follow();
  return {
    get pid() {
      return pid;
    },
    get output() {
      return output;
    },
    pause: () => engine.pause(),
    unpause: () => engine.unpause(),
    kill: () => engine.kill(),
    startAgain: async () => {
      await engine.start();
      await follow();
    },
    remove: () => engine.remove({ force: true, v: true }),
  };
}
