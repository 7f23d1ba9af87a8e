// Opens a study in OHIF, runs a model from MONAI Label's panel, and keeps a screenshot.
//
// node ohif.mjs PLAYWRIGHT_CORE SERVER_URL STUDY_UID MODEL SCREENSHOT SLICE_SHARE
//
// Prints one JSON object: the study list, the models offered, the reply's status, and of the panes before and after it
// the coloured pixels and the levels of grey.
// SLICE_SHARE, 0 to 1, is how far down the stack the screenshot is taken.
import { createRequire } from 'node:module';

const [library, server, study, model, screenshot, share] = process.argv.slice(2);
const { chromium } = createRequire(import.meta.url)(library);

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--use-gl=angle',
    '--use-angle=swiftshader',
    '--enable-unsafe-swiftshader',
    '--ignore-gpu-blocklist',
  ],
});

// What the panes show: OHIF's CT is grey, a segment is not (the lungs' olive and brown are laid on thinly); a pane
// without its CT has few greys.
async function look(page) {
  let coloured = 0;
  let greys = 0;
  for (const canvas of await page.locator('canvas').all()) {
    const pane = await canvas.evaluate((element) => {
      const copy = document.createElement('canvas');
      copy.width = element.width;
      copy.height = element.height;
      const context = copy.getContext('2d');
      context.drawImage(element, 0, 0);
      const { data } = context.getImageData(0, 0, copy.width, copy.height);
      const levels = new Set();
      let bright = 0;
      for (let i = 0; i < data.length; i += 4) {
        const [red, green, blue] = [data[i], data[i + 1], data[i + 2]];
        if (Math.max(red, green, blue) - Math.min(red, green, blue) > 20) bright += 1;
        else if (red === green && green === blue) levels.add(red);
      }
      return { bright, levels: levels.size };
    });
    coloured += pane.bright;
    greys = Math.max(greys, pane.levels);
  }
  return { coloured, greys };
}

try {
  const page = await browser.newPage({ viewport: { width: 1600, height: 640 } });
  page.setDefaultTimeout(120000);
  // It asks for fonts; nothing but this machine is to be reached.
  await page.route('**/*', (route) =>
    ['127.0.0.1', 'localhost'].includes(new URL(route.request().url()).hostname) ||
    !route.request().url().startsWith('http')
      ? route.continue()
      : route.abort(),
  );

  await page.goto(`${server}/ohif/`);
  await page.locator('[data-cy="study-list-results"] tr, table tbody tr').first().waitFor();
  const listed = await page.locator('body').innerText();

  await page.goto(`${server}/ohif/monai-label?StudyInstanceUIDs=${study}`);
  await page.locator('canvas').first().waitFor();
  const hide = page.getByText('Confirm and Hide');
  await hide.waitFor({ timeout: 15000 }).then(() => hide.click(), () => {});
  await page.locator('#monailabelServerURL').fill(server);
  await page.locator('.settingsTable button.actionButton').first().click();
  const run = page.locator('button[title="Run Segmentation"]');
  await run.waitFor();
  const select = page.locator('.modelSelector select').first();
  const models = await select.locator('option').allInnerTexts();
  await select.selectOption(model);
  // The stack loads by slice; a mask is laid on it only when all of it is there.
  await page.waitForLoadState('networkidle');
  const before = await look(page);
  const answered = page.waitForResponse(
    (response) => response.url().includes(`/infer/${model}`) && response.request().method() === 'POST',
    { timeout: 300000 },
  );
  await run.click();
  const response = await answered;
  await response.finished();
  await page.waitForTimeout(5000);
  // Any pane will do: the first lies where a click and the wheel reach it.
  const pane = page.locator('canvas').first();
  const box = await pane.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  for (let step = 0; step < Number(share) * 20; step += 1) {
    await page.mouse.wheel(0, 100);
    await page.waitForTimeout(100);
  }
  await page.keyboard.press('2'); // OHIF's preset for the lungs.
  await page.waitForTimeout(2000);
  const after = await look(page);
  await page.screenshot({ path: screenshot });
  console.log(JSON.stringify({ listed, models, status: response.status(), before, after }));
} finally {
  await browser.close();
}
