interface View {
  name: string;
  search: string;
}

const KEY = 'mm.views';

/** Sets of filters that were kept under a name, in this browser. */
class Views {
  all = $state.raw<View[]>(read());

  keep(name: string, search: string): void {
    this.#write([...this.all.filter((view) => view.name !== name), { name, search }]);
  }

  remove(name: string): void {
    this.#write(this.all.filter((view) => view.name !== name));
  }

  #write(views: View[]): void {
    this.all = views;
    localStorage.setItem(KEY, JSON.stringify(views));
  }
}

function read(): View[] {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '[]') as View[];
  } catch {
    return [];
  }
}

export const views = new Views();
