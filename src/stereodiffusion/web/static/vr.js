// A pair in a headset: each eye sees its own picture, on a screen at a distance, straight ahead.

import {
  Mesh, MeshBasicMaterial, PerspectiveCamera, PlaneGeometry, Scene, SRGBColorSpace, Texture, WebGLRenderer,
} from "./three.js";

const LEFT_EYE = 1; // three.js shows layer 1 to the left eye alone, and 2 to the right
const RIGHT_EYE = 2;

function screen(picture, eye, distance_m, width_m) {
  const texture = new Texture(picture);
  texture.colorSpace = SRGBColorSpace;
  texture.needsUpdate = true;
  const material = new MeshBasicMaterial({ map: texture, toneMapped: false });
  const mesh = new Mesh(new PlaneGeometry(width_m, (width_m * picture.height) / picture.width), material);
  mesh.position.set(0, 0, -distance_m); // "local" space has its origin at the eyes
  mesh.layers.set(eye);
  return mesh;
}

// WebGL wants the first row at the bottom; bitmaps cannot be turned round while they are uploaded.
const upsideDown = (picture) => createImageBitmap(picture, { imageOrientation: "flipY", colorSpaceConversion: "none" });

export async function enter(left, right, distance_m, width_m) {
  const session = await navigator.xr.requestSession("immersive-vr");
  const renderer = new WebGLRenderer({ antialias: true });
  renderer.xr.enabled = true;
  renderer.xr.setReferenceSpaceType("local");
  const scene = new Scene();
  const eyes = [[left, LEFT_EYE], [right, RIGHT_EYE]];
  for (const [picture, eye] of eyes) scene.add(screen(await upsideDown(picture), eye, distance_m, width_m));
  const camera = new PerspectiveCamera();
  session.addEventListener("end", () => {
    renderer.setAnimationLoop(null);
    for (const { geometry, material } of scene.children) {
      geometry.dispose();
      material.map.dispose();
      material.dispose();
    }
    renderer.dispose();
  });
  await renderer.xr.setSession(session);
  renderer.setAnimationLoop(() => renderer.render(scene, camera));
  return session;
}
