/** Attributes: facts with names of the site's own. */
export const attributes = {
  add: 'Add an attribute',
  new: 'New attribute',
  name: 'Name',
  value: 'Value',
  kind: 'Kind of value',
  kinds: { text: 'Text', number: 'Number', flag: 'Yes/No' } as Record<string, string>,
  remove: (name: string) => (name ? `Remove ${name}` : 'Remove this attribute'),
  repeated: 'This name is used above. Choose another: only the first is saved.',
};
