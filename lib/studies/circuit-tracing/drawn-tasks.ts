/** Tasks that were drawn once, for all checkpoints that see the same images. */
import { rasterOf, type VisualTask } from "../../tasks/index.js";

/** Bytes of images that are kept; what is beyond is drawn anew each time. */
const KEPT_BYTES = 2 ** 26;

export class DrawnTasks {
  private readonly known = new Map<string, readonly VisualTask[]>();
  private bytes = 0;

  /**
   * The first `count` tasks of a draw.
   * @param key what the draw depends on, the kind of scene among it, but for the count
   * @param draw tasks of which the first are the same whatever the count
   */
  first<Scene>(
    key: string,
    count: number,
    draw: (count: number) => readonly VisualTask<Scene>[],
  ): VisualTask<Scene>[] {
    const before = this.known.get(key);
    if (before && before.length >= count) return before.slice(0, count) as VisualTask<Scene>[];
    const tasks = draw(count);
    const more = bytesOf(tasks) - bytesOf(before ?? []);
    if (this.bytes + more <= KEPT_BYTES) {
      this.known.set(key, tasks);
      this.bytes += more;
    }
    return [...tasks];
  }
}

const bytesOf = (tasks: readonly VisualTask[]): number =>
  tasks.reduce((sum, task) => sum + rasterOf(task).data.length, 0);
