import { writeObject } from "./objects.js";

/** Keeps an object up to date, one upload at a time: what is overtaken by a newer state is never sent. */
export class LatestUpload {
  private next: (() => Uint8Array) | undefined;
  private running: Promise<void> | undefined;
  private failure: unknown;

  constructor(private readonly url: string) {}

  /**
   * Uploads in the background what `content` gives when it is its turn.
   * @throws the error of an upload since the last call
   */
  put(content: () => Uint8Array): void {
    this.next = content;
    this.running ??= this.run();
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
  }

  /** Uploads this last, and waits for it. */
  async finish(content: () => Uint8Array): Promise<void> {
    this.next = undefined;
    await this.running;
    this.failure = undefined;
    await writeObject(this.url, content());
  }

  private async run(): Promise<void> {
    // Not before `put` has returned: a content that throws is then an error of the upload, as all others.
    await Promise.resolve();
    try {
      for (let content = this.next; content !== undefined; content = this.next) {
        this.next = undefined;
        await writeObject(this.url, content());
      }
    } catch (error) {
      this.failure = error;
    } finally {
      this.running = undefined;
    }
  }
}
