import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A call that Azure, or the CLI, refused: what it said, in a line. */
export class AzureCliError extends Error {
  override name = 'AzureCliError';
}

/** The Azure CLI, as the person who is signed in. Nothing here writes. */
export class AzureCli {
  readonly #command: string;

  constructor(command = 'az') {
    this.#command = command;
  }

  /** @throws AzureCliError where there is no CLI, or nobody is signed in. */
  async account(): Promise<{ id: string; tenantId: string; user: string }> {
    const { id, tenantId, user } = (await this.#json(['account', 'show'])) as {
      id: string;
      tenantId: string;
      user: { name: string };
    };
    return { id, tenantId, user: user.name };
  }

  /** A GET, or a POST where there is a body, of Azure Resource Manager (`path`) or of another service (`url`). */
  async rest(url: string, body?: unknown, audience?: string): Promise<unknown> {
    return this.#json([
      'rest',
      '--method',
      body === undefined ? 'get' : 'post',
      '--url',
      url.startsWith('/') ? `https://management.azure.com${url}` : url,
      ...(body === undefined ? [] : ['--body', JSON.stringify(body)]),
      ...(audience === undefined ? [] : ['--resource', audience]),
    ]);
  }

  async json(...parameters: string[]): Promise<unknown> {
    return this.#json(parameters);
  }

  async #json(parameters: readonly string[]): Promise<unknown> {
    const options = { timeout: 60_000, maxBuffer: 64 * 1024 * 1024 };
    try {
      const { stdout } = await run(this.#command, [...parameters, '--output', 'json'], options);
      return stdout.trim() === '' ? null : JSON.parse(stdout);
    } catch (error) {
      const { code, stderr, message } = error as { code?: string | number; stderr?: string; message: string };
      if (code === 'ENOENT') {
        throw new AzureCliError('the Azure CLI is not installed');
      }
      throw new AzureCliError((stderr?.trim() || message).replace(/\s+/g, ' ').slice(0, 300));
    }
  }
}
