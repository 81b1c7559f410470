// Runs an Unleash until standard input ends, which it does with its starter, however that ends.
// Standard input is one line of JSON: the folder of the package, Unleash's options, and the number
// of the open file that is told the port when Unleash listens.
import { writeSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const lines = createInterface({ input: process.stdin });
let unleash;

lines.once("line", async (line) => {
  const { folder, options, ready } = JSON.parse(line);
  try {
    const main = createRequire(pathToFileURL(`${folder}/`)).resolve("unleash-server");
    const { start } = await import(pathToFileURL(main));
    unleash = await start(options);
    writeSync(ready, `${unleash.server.address().port}\n`);
  } catch (error) {
    // Unleash keeps unhandled rejections from ending the process.
    console.error(error);
    process.exit(1);
  }
});

lines.once("close", async () => {
  await unleash?.stop();
  process.exit();
});
