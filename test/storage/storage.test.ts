import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { inspect } from "node:util";
import {
  baseName,
  holdsCredentials,
  isRemote,
  joinPath,
  LatestUpload,
  localCopy,
  readObject,
  readTextIfThere,
  shownPath,
  upload,
  writeObject,
} from "../../lib/storage/index.js";
import { says } from "../refusals.js";
import { SECRET_KEY, startServer } from "./server.js";

const folder = mkdtempSync(join(tmpdir(), "modalscope-storage-"));
const server = await startServer();
Object.assign(process.env, server.env, { MODALSCOPE_CACHE: join(folder, "cache") });
after(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  server.objects.clear();
  server.faults.length = 0;
  server.requests.length = 0;
  server.plain = false;
  server.password = undefined;
});

describe("paths", () => {
  it("are URLs or not, and shown without what may be credentials", () => {
    assert.deepEqual(
      ["s3://b/k", "https://a/b", "http://a", "S3://b", "a/b", "C:\\a", "/s3://x"].map(isRemote),
      [true, true, true, true, false, false, false],
    );
    const shown: [string, string][] = [
      ["https://me:pw@host/a/b.ipynb?X-Amz-Signature=1#x", "https://host/a/b.ipynb"],
      ["https://host/a@b", "https://host/a@b"],
      ["s3://bucket/a?b#c@d", "s3://bucket/a?b#c@d"],
      ["s3://key:secret@bucket/a", "s3://bucket/a"],
      ["a?b", "a?b"],
    ];
    for (const [path, wanted] of shown) {
      assert.equal(shownPath(path), wanted);
      assert.equal(holdsCredentials(path), path !== wanted);
    }
    assert.equal(joinPath("s3://b/k/", "x/y"), "s3://b/k/x/y");
    assert.equal(baseName("https://h/a/b.ipynb?sig=1"), "b.ipynb");
  });
});

for (const scheme of ["s3", "http"] as const)
  describe(`objects by ${scheme}`, () => {
    const at = (key: string): string =>
      scheme === "s3" ? `s3://bucket/${key}` : `${server.url}/bucket/${key}`;
    beforeEach(() => {
      server.plain = scheme === "http";
    });

    it("are written and read, whatever their names and sizes", async () => {
      for (const [name, size] of [
        ["a.bin", 0],
        ["a b=1,c+d (é)/x.ipynb", 5],
        ["big", 3_000_001],
      ] as const) {
        const content = randomBytes(size);
        await writeObject(at(name), content);
        assert.deepEqual(server.objects.get(`bucket/${name}`), content);
        assert.deepEqual(await readObject(at(name)), content);
      }
      assert.equal(await readTextIfThere(at("none")), undefined);
      await assert.rejects(
        readObject(at("none")),
        says(/Cannot read .*bucket\/none\. There is no such object/),
      );
    });

    it("are tried again when the server is busy or breaks off, and read on where that was", async () => {
      const content = randomBytes(200_000);
      server.objects.set("bucket/x", content);
      server.faults.push({ kind: 503, times: 2 });
      assert.deepEqual(await readObject(at("x")), content);
      server.faults.push({ kind: "cut", times: 2 });
      assert.deepEqual(await readObject(at("x")), content);
      server.faults.push({ kind: "drop", times: 1, matches: /^PUT/ });
      await writeObject(at("y"), content);
      assert.deepEqual(server.objects.get("bucket/y"), content);
    });

    it("are given up when the server stalls or stays broken", async () => {
      server.objects.set("bucket/x", Buffer.from("12345678"));
      server.faults.push({ kind: "stall", times: 9 });
      const begun = performance.now();
      await assert.rejects(
        readObject(at("x"), { stallSeconds: 0.1 }),
        says(/does not answer in time\. Try again/),
      );
      assert.ok(performance.now() - begun < 5000);
      server.faults.splice(0, 1, { kind: 500, times: 99 });
      await assert.rejects(writeObject(at("x"), Buffer.from("new")), says(/answered .*500/));
      assert.equal(String(server.objects.get("bucket/x")), "12345678", "the old one stays");
    });

    it("are refused where they are too large, before they are read or while", async () => {
      server.objects.set("bucket/x", randomBytes(1000));
      await assert.rejects(readObject(at("x"), { limit: 999 }), says(/has 1\.0 kB or more/));
      assert.equal((await readObject(at("x"), { limit: 1000 })).length, 1000);
    });

    it("that may not be read or written say so", async () => {
      server.faults.push({ kind: 403, times: 2 });
      await assert.rejects(readObject(at("x")), says(/403/));
      await assert.rejects(writeObject(at("x"), Buffer.from("")), says(/403/));
    });

    it("are stopped by a signal", async () => {
      server.objects.set("bucket/x", randomBytes(10));
      server.faults.push({ kind: "stall", times: 1 });
      const stop = new AbortController();
      setTimeout(() => stop.abort(new Error("enough")), 50);
      await assert.rejects(readObject(at("x"), { signal: stop.signal }), /enough/);
    });

    it("are copied into the cache once, and again when they have changed", async () => {
      server.objects.set("bucket/data/one.json", Buffer.from("1"));
      const first = await localCopy(at("data/one.json"));
      assert.equal(first, await localCopy(at("data/one.json")));
      assert.equal(server.requests.filter((one) => one.startsWith("GET")).length, 1);
      assert.match(first, /one\.json$/);
      server.objects.set("bucket/data/one.json", Buffer.from("22"));
      assert.equal(readFileSync(await localCopy(at("data/one.json")), "utf8"), "22");
      writeFileSync(first, "damaged");
      assert.equal(readFileSync(await localCopy(at("data/one.json")), "utf8"), "22");
      server.faults.push({ kind: "cut", times: 99, matches: /^GET/ });
      server.objects.set("bucket/data/one.json", Buffer.from("333333"));
      await assert.rejects(localCopy(at("data/one.json")), says(/broke off/));
      assert.equal(readFileSync(first, "utf8"), "22", "a copy that was cut short replaces nothing");
    });

    it("take a file as it is", async () => {
      const path = join(folder, "up.bin");
      const content = randomBytes(100_000);
      writeFileSync(path, content);
      await upload(path, at("up.bin"));
      assert.deepEqual(server.objects.get("bucket/up.bin"), content);
      await assert.rejects(upload(join(folder, "none"), at("x")), says(/There is no such file/));
      await assert.rejects(upload(path, "elsewhere"), says(/is not a URL/));
    });

    it("sends the newest state last, one upload at a time", async () => {
      const latest = new LatestUpload(at("n"));
      for (let i = 0; i < 50; i++) latest.put(() => Buffer.from(String(i)));
      await latest.finish(() => Buffer.from("last"));
      assert.equal(String(server.objects.get("bucket/n")), "last");
      assert.ok(server.requests.length <= 3, server.requests.join());
    });
  });

describe("folders", () => {
  it("by s3 are listed to their end, and lose what is gone", async () => {
    for (const name of ["a.json", "b/c.json", "b/d e.json", "f.bin", "g.bin"])
      server.objects.set(`bucket/set/${name}`, Buffer.from(name));
    server.objects.set("bucket/settled/no", Buffer.from("another"));
    const path = await localCopy("s3://bucket/set");
    assert.equal(readFileSync(join(path, "b", "d e.json"), "utf8"), "b/d e.json");
    assert.deepEqual(readdirSync(path).sort(), ["a.json", "b", "f.bin", "g.bin"]);
    server.objects.delete("bucket/set/f.bin");
    assert.equal(await localCopy("s3://bucket/set"), path);
    assert.deepEqual(readdirSync(path).sort(), ["a.json", "b", "g.bin"]);
    assert.deepEqual(readdirSync(await localCopy("s3://bucket/set/", { files: ["a.json", "none"] })).sort(), [
      "a.json",
    ]);
    await assert.rejects(localCopy("s3://bucket/nothing"), says(/There is nothing there/));
  });

  it("never lead out of the cache", async () => {
    server.objects.set("bucket/bad/../../escaped", Buffer.from("x"));
    await assert.rejects(localCopy("s3://bucket/bad"), says(/which is no file's name/));
    assert.equal(existsSync(join(folder, "escaped")), false);
  });

  it("by https are taken by the names that are given", async () => {
    server.plain = true;
    server.objects.set("m/config.json", Buffer.from("{}"));
    const path = await localCopy(`${server.url}/m/`, { files: ["config.json", "none.json"] });
    assert.deepEqual(readdirSync(path), ["config.json"]);
    await assert.rejects(localCopy(`${server.url}/m`), says(/folders cannot be listed by https/));
  });

  it("that were changed since, or may be by others, are not taken for the object", async () => {
    const url = "s3://bucket/changed.bin";
    server.objects.set("bucket/changed.bin", Buffer.from("12345678"));
    const path = await localCopy(url);
    writeFileSync(path, "12345x78");
    assert.equal(readFileSync(await localCopy(url), "utf8"), "12345678");
    chmodSync(dirname(path), 0o777);
    await assert.rejects(localCopy(url), says(/Other users may write to the cache folder .*chmod go-w/s));
    chmodSync(dirname(path), 0o700);
    symlinkSync(path, `${path}.${process.pid}.part`);
    server.objects.set("bucket/changed.bin", Buffer.from("abc"));
    assert.equal(readFileSync(await localCopy(url), "utf8"), "abc");
  });

  it("that are paths of this machine are given back", async () => {
    assert.equal(await localCopy("some/folder"), "some/folder");
    await assert.rejects(localCopy("a", { cahce: "b" } as object), says(/no option "cahce".*"cache"/));
  });
});

describe("redirects and passwords by http", () => {
  beforeEach(() => {
    server.plain = true;
  });

  it("follow to where the content lies, and end", async () => {
    server.objects.set("b/x", Buffer.from("here"));
    server.faults.push({ kind: 302, times: 1, headers: { location: "/b/x" } });
    assert.equal(String(await readObject(`${server.url}/from`)), "here");
    server.faults.push({ kind: 302, times: 99, headers: { location: "/round" } });
    await assert.rejects(readObject(`${server.url}/from`), says(/redirects more than 5 times/));
  });

  it("send a password to the server that it is for, and to no other", async () => {
    const other = await startServer();
    other.plain = true;
    other.objects.set("x", Buffer.from("other"));
    server.password = "me:p w";
    server.objects.set("x", Buffer.from("mine"));
    const url = server.url.replace("//", "//me:p%20w@");
    assert.equal(String(await readObject(`${url}/x`)), "mine");
    await assert.rejects(readObject(`${server.url}/x`), says(/asks for credentials/));
    server.faults.push({ kind: 307, times: 1, headers: { location: `${other.url}/x` } });
    assert.equal(String(await readObject(`${url}/x`)), "other");
    other.password = "me:p w";
    server.faults.push({ kind: 307, times: 1, headers: { location: `${other.url}/x` } });
    await assert.rejects(readObject(`${url}/x`), says(/asks for credentials/));
    await assert.rejects(readObject("http://me:pw@example.invalid/x"), says(/where others can read it/));
  });

  it("name a server that is not there", async () => {
    const gone = createServer().listen(0);
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    await assert.rejects(readObject(`http://127.0.0.1:${port}/x`), says(/takes no connections/));
  });
});

it("no error of s3 holds a secret, and each says what to do", async () => {
  server.objects.set("bucket/x", Buffer.from("x"));
  const seen: unknown[] = [];
  const tried = async (work: Promise<unknown>, reason: RegExp): Promise<void> => {
    await assert.rejects(work, (error: unknown) => {
      seen.push(error);
      return says(reason)(error);
    });
  };
  await tried(readObject("s3://key:secret@bucket/x"), /Credentials do not go into an s3:\/\/ URL/);
  await tried(readObject("s3:///x"), /names no bucket/);
  server.faults.push({ kind: 301, times: 9 });
  await tried(readObject("s3://bucket/x"), /region|301/);
  assert.doesNotMatch(
    inspect(seen, { depth: 9, showHidden: true }),
    new RegExp(SECRET_KEY.replace(/[+/]/g, ".")),
  );
});
