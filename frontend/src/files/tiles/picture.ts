/** An address for the picture of a file that is on this device; null if it is no image. The caller revokes it. */
export function pictureOf(file: Blob): string | null {
  return file.type.startsWith('image/') ? URL.createObjectURL(file) : null;
}
