import { readLocal, writeLocal } from '../../device/localStorage';

interface SavedView {
  name: string;
  search: string;
}

// Browsers hold the saved views under this key.
const KEY = 'mm.views';

/** Named sets of filters, stored in this browser. */
class SavedViews {
  all = $state.raw<SavedView[]>(readLocal<SavedView[]>(KEY) ?? []);

  save(name: string, search: string): void {
    this.#write([...this.all.filter((view) => view.name !== name), { name, search }]);
  }

  delete(name: string): void {
    this.#write(this.all.filter((view) => view.name !== name));
  }

  #write(views: SavedView[]): void {
    this.all = views;
    writeLocal(KEY, views);
  }
}

export const savedViews = new SavedViews();
