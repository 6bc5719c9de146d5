// The scan on the reading page: three planes with side letters, colour scales, window, maximum projection, evidence and
// regions above it, the template normal beside it. Everything that it shows comes from data attributes of the page.
import { Niivue, NVImage, SLICE_TYPE, SHOW_RENDER } from "@niivue/niivue";

interface Overlay {
  title: string;
  url: string;
  kind: "regions" | "evidence";
}

interface Shown {
  title: string;
  url: string;
  /** Right end of the window at first; the left end is 0. Null: as the volume itself has it. */
  top: number | null;
}

interface Told {
  scans: Shown[];
  template: Shown | null;
  overlays: Overlay[];
  unit: string;
  /** How this scan was moved by hand already, and about which point it turns. */
  manual: { shift: Three; turn: Three; centre: Three };
}

type Three = [number, number, number];
type Matrix = number[][];

const PLANES: Record<string, SLICE_TYPE> = {
  three: SLICE_TYPE.MULTIPLANAR,
  axial: SLICE_TYPE.AXIAL,
  coronal: SLICE_TYPE.CORONAL,
  sagittal: SLICE_TYPE.SAGITTAL,
  maximum: SLICE_TYPE.AXIAL,
};
const STEPS: Record<string, [number, number, number]> = {
  ArrowLeft: [-1, 0, 0],
  ArrowRight: [1, 0, 0],
  ArrowUp: [0, 1, 0],
  ArrowDown: [0, -1, 0],
  PageUp: [0, 0, 1],
  PageDown: [0, 0, -1],
};
const BACK: [number, number, number, number] = [0, 0, 0, 1];
const START_MM: Three = [14, 8, 4]; // where caudate and putamen of one side are cut
const EVIDENCE_FROM = 0.15; // of the strongest; what is weaker is not drawn

function part<T extends HTMLElement>(root: HTMLElement, name: string): T {
  const found = root.querySelector<T>(`[data-part="${name}"]`);
  if (found === null) throw new Error(`the page has no ${name}`);
  return found;
}

function product(a: Matrix, b: Matrix): Matrix {
  return a.map((row) => b[0].map((_, j) => row.reduce((sum, one, k) => sum + one * b[k][j], 0)));
}

/** `dopascope.space.Manual.matrix`: turned about x, then y, then z (degrees) about the centre, then moved (mm). */
function correction(shift: Three, turn: Three, centre: Three): Matrix {
  const [x, y, z] = turn.map((degrees) => (degrees * Math.PI) / 180);
  const about = [
    [[1, 0, 0], [0, Math.cos(x), -Math.sin(x)], [0, Math.sin(x), Math.cos(x)]],
    [[Math.cos(y), 0, Math.sin(y)], [0, 1, 0], [-Math.sin(y), 0, Math.cos(y)]],
    [[Math.cos(z), -Math.sin(z), 0], [Math.sin(z), Math.cos(z), 0], [0, 0, 1]],
  ];
  const turned = product(about[2], product(about[1], about[0]));
  const rows = turned.map((row, i) => {
    const back = row.reduce((sum, one, k) => sum + one * centre[k], 0);
    return [...row, centre[i] - back + shift[i]];
  });
  return [...rows, [0, 0, 0, 1]];
}

/** The inverse of a rigid motion. */
function undone(matrix: Matrix): Matrix {
  const rows = [0, 1, 2].map((i) => {
    const row = [0, 1, 2].map((j) => matrix[j][i]);
    return [...row, -row.reduce((sum, one, k) => sum + one * matrix[k][3], 0)];
  });
  return [...rows, [0, 0, 0, 1]];
}

/** One canvas with one scan and what lies above it. */
class Pane {
  readonly nv: Niivue;
  private whole: ArrayLike<number> | null = null;
  private projected = false;

  constructor(readonly canvas: HTMLCanvasElement) {
    this.nv = new Niivue({
      backColor: BACK,
      crosshairColor: [0.35, 0.8, 1, 0.7],
      crosshairWidth: 1,
      crosshairWidthUnit: "mm",
      isRadiologicalConvention: true,
      isOrientationTextVisible: true,
      showAllOrientationMarkers: true,
      isCornerOrientationText: false,
      isColorbar: false,
      dragAndDropEnabled: false,
      loadingText: "",
      multiplanarShowRender: SHOW_RENDER.NEVER,
      isSliceMM: true,
      fontMinPx: 14,
      logLevel: "error",
    });
  }

  async open(): Promise<void> {
    await this.nv.attachToCanvas(this.canvas);
  }

  /** Show a scan; returns the right end of its window. */
  async show(shown: Shown, colours: string): Promise<number> {
    while (this.nv.volumes.length > 0) this.nv.removeVolumeByIndex(0);
    const volume = await NVImage.loadFromUrl({
      url: shown.url,
      name: "scan.nii.gz",
      colormap: colours,
    });
    this.nv.addVolume(volume);
    this.whole = null;
    this.projected = false;
    return shown.top ?? volume.robust_max ?? volume.global_max ?? 1;
  }

  get scan(): NVImage | undefined {
    return this.nv.volumes[0];
  }

  colour(name: string): void {
    if (this.scan !== undefined) this.nv.setColormap(this.scan.id, name);
  }

  window(low: number, high: number): void {
    if (this.scan === undefined) return;
    this.scan.cal_min = low;
    this.scan.cal_max = Math.max(high, low + 0.01);
    this.nv.updateGLVolume();
  }

  /** Every axial slice becomes the maximum over all of them, or each is itself again. */
  project(wanted: boolean): void {
    const scan = this.scan;
    if (scan?.img === undefined || scan.dims === undefined || wanted === this.projected) return;
    const image = scan.img as Float32Array;
    if (wanted) {
      this.whole = image.slice();
      // NiiVue keeps voxels in the file's order; the axis that runs up is found from the affine.
      const [nx, ny, nz] = [scan.dims[1], scan.dims[2], scan.dims[3]];
      const sizes = [nx, ny, nz];
      const strides = [1, nx, nx * ny];
      const up = this.upAxis(scan);
      const [a, b] = [0, 1, 2].filter((axis) => axis !== up);
      for (let i = 0; i < sizes[a]; i++) {
        for (let j = 0; j < sizes[b]; j++) {
          const start = i * strides[a] + j * strides[b];
          let most = -Infinity;
          for (let k = 0; k < sizes[up]; k++) most = Math.max(most, image[start + k * strides[up]]);
          for (let k = 0; k < sizes[up]; k++) image[start + k * strides[up]] = most;
        }
      }
    } else if (this.whole !== null) {
      image.set(this.whole);
      this.whole = null;
    }
    this.projected = wanted;
    this.nv.updateGLVolume();
  }

  private upAxis(scan: NVImage): number {
    const row = scan.hdr?.affine[2] ?? [0, 0, 1, 0];
    const sizes = [0, 1, 2].map((axis) => Math.abs(row[axis]));
    return sizes.indexOf(Math.max(...sizes));
  }

  /** Move the scan beneath its overlays, from where it was loaded. */
  move(by: Matrix): void {
    if (this.scan === undefined) return;
    this.nv.resetVolumeAffine(0);
    const affine = this.scan.hdr?.affine;
    if (affine !== undefined) this.nv.setVolumeAffine(0, product(by, affine));
  }

  async overlay(one: Overlay | null): Promise<void> {
    while (this.nv.volumes.length > 1) this.nv.removeVolumeByIndex(1);
    if (one === null) return;
    if (one.kind === "regions") {
      const volume = await NVImage.loadFromUrl({ url: one.url, name: "regions.nii.gz", opacity: 0.45 });
      volume.setColormapLabel({
        R: [0, 255, 255, 60, 60, 255, 255],
        G: [0, 200, 200, 220, 220, 90, 90],
        B: [0, 0, 0, 255, 255, 200, 200],
        A: [0, 255, 255, 255, 255, 255, 255],
        I: [0, 1, 2, 3, 4, 5, 6],
        labels: ["", "caudate", "caudate", "anterior putamen", "anterior putamen", "posterior putamen", "posterior putamen"],
      });
      this.nv.addVolume(volume);
      return;
    }
    const volume = await NVImage.loadFromUrl({ url: one.url, name: "evidence.nii.gz", opacity: 0.6 });
    const strongest = Math.max(Math.abs(volume.global_min ?? 0), Math.abs(volume.global_max ?? 0), 1e-9);
    volume.colormap = "warm";
    volume.colormapNegative = "winter";
    volume.cal_min = EVIDENCE_FROM * strongest;
    volume.cal_max = strongest;
    volume.cal_minNeg = -EVIDENCE_FROM * strongest;
    volume.cal_maxNeg = -strongest;
    this.nv.addVolume(volume);
  }
}

interface Place {
  mm: ArrayLike<number>;
  values: { value: number }[];
}

class Viewer {
  private readonly told: Told;
  private readonly left: Pane;
  private readonly right: Pane | null;
  private readonly colours: HTMLSelectElement;
  private readonly low: HTMLInputElement;
  private readonly high: HTMLInputElement;
  private readonly plane: HTMLSelectElement;
  private readonly over: HTMLSelectElement;
  private readonly which: HTMLSelectElement;
  private readonly place: HTMLElement;

  constructor(private readonly root: HTMLElement) {
    this.told = JSON.parse(root.dataset.viewer ?? "null") as Told;
    this.left = new Pane(part<HTMLCanvasElement>(root, "scan"));
    this.right = this.told.template === null ? null : new Pane(part<HTMLCanvasElement>(root, "template"));
    this.colours = part(root, "colours");
    this.low = part(root, "low");
    this.high = part(root, "high");
    this.plane = part(root, "plane");
    this.over = part(root, "over");
    this.which = part(root, "which");
    this.place = part(root, "place");
  }

  async start(): Promise<void> {
    await this.left.open();
    const grey = this.left.nv.colormap("gray");
    const inverted = { R: [255, 0], G: [255, 0], B: [255, 0], A: [255, 255], I: [0, 255] };
    if (grey !== null) this.left.nv.addColormap("inverted", inverted);
    if (this.right !== null && this.told.template !== null) {
      await this.right.open();
      await this.right.show(this.told.template, this.colours.value);
      this.left.nv.broadcastTo([this.right.nv], { "2d": true, "3d": false });
      this.right.nv.broadcastTo([this.left.nv], { "2d": true, "3d": false });
    }
    this.left.nv.onLocationChange = (at) => this.say(at as Place);
    await this.choose(this.told.scans[0]);
    this.which.addEventListener("change", () => this.quietly(this.choose(this.told.scans[Number(this.which.value)])));
    this.colours.addEventListener("change", () => this.panes((pane) => pane.colour(this.colours.value)));
    for (const input of [this.low, this.high]) input.addEventListener("input", () => this.window());
    this.plane.addEventListener("change", () => this.slices());
    this.over.addEventListener("change", () => this.quietly(this.overlay()));
    for (const pane of this.both()) {
      pane.canvas.addEventListener("keydown", (event) => this.key(event, pane), { capture: true });
    }
    document.querySelector<HTMLFormElement>("form[data-adjust]")?.addEventListener("input", (event) => {
      this.quietly(this.preview(event.currentTarget as HTMLFormElement));
    });
    this.root.dataset.ready = "yes";
  }

  private both(): Pane[] {
    return this.right === null ? [this.left] : [this.left, this.right];
  }

  private panes(each: (pane: Pane) => void): void {
    for (const pane of this.both()) each(pane);
  }

  private async choose(shown: Shown): Promise<void> {
    const top = await this.left.show(shown, this.colours.value);
    this.high.max = this.low.max = String(2 * top);
    this.high.step = this.low.step = String(top / 100);
    this.low.value = "0";
    this.high.value = String(top);
    this.window();
    this.slices();
    const first = shown === this.told.scans[0];
    for (const option of this.over.options) option.disabled = !first && option.value !== "";
    if (!first) this.over.value = "";
    await this.overlay();
    if (this.told.template !== null) {
      const panes = first ? this.both() : [];
      for (const pane of panes) pane.nv.scene.crosshairPos = pane.nv.mm2frac(START_MM);
    }
    this.panes((pane) => pane.nv.drawScene());
  }

  private window(): void {
    const [low, high] = [Number(this.low.value), Number(this.high.value)];
    this.left.window(low, high);
    if (this.which.selectedIndex <= 0) this.right?.window(low, high);
    part(this.root, "low-says").textContent = low.toFixed(2);
    part(this.root, "high-says").textContent = high.toFixed(2);
  }

  private slices(): void {
    const maximum = this.plane.value === "maximum";
    this.panes((pane) => {
      pane.project(maximum);
      pane.nv.setSliceType(PLANES[this.plane.value] ?? SLICE_TYPE.MULTIPLANAR);
    });
  }

  private async overlay(): Promise<void> {
    const chosen = this.over.value === "" ? null : (this.told.overlays[Number(this.over.value)] ?? null);
    await this.left.overlay(chosen);
    await this.right?.overlay(chosen?.kind === "regions" ? chosen : null);
  }

  /** The scan where the numbers of the form would have it, under the regions. */
  private async preview(form: HTMLFormElement): Promise<void> {
    if (this.which.value !== "0") {
      this.which.value = "0";
      await this.choose(this.told.scans[0]);
    }
    if (this.over.value === "") {
      this.over.value = "0";
      await this.overlay();
    }
    const number = (name: string) => Number(form.querySelector<HTMLInputElement>(`[name="${name}"]`)?.value ?? 0) || 0;
    const { shift, turn, centre } = this.told.manual;
    const wanted = correction(
      [number("right"), number("front"), number("up")],
      [number("nod"), number("tilt"), number("turn")],
      centre,
    );
    this.left.move(product(wanted, undone(correction(shift, turn, centre))));
  }

  private say(at: Place): void {
    const [x, y, z] = [at.mm[0], at.mm[1], at.mm[2]].map((one) => one.toFixed(0));
    const value = at.values[0]?.value;
    const told = value === undefined ? "" : `: ${value.toFixed(2)} ${this.told.unit}`;
    this.place.textContent = `right ${x}, front ${y}, up ${z} mm${told}`;
  }

  private key(event: KeyboardEvent, pane: Pane): void {
    const step = STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    pane.nv.moveCrosshairInVox(...step);
    pane.nv.createOnLocationChange();
  }

  private quietly(work: Promise<void>): void {
    work.catch((error: unknown) => failed(this.root, error));
  }
}

function failed(root: HTMLElement, error: unknown): void {
  console.error(error);
  part(root, "trouble").hidden = false;
}

const root = document.getElementById("viewer");
if (root !== null) new Viewer(root).start().catch((error: unknown) => failed(root, error));
