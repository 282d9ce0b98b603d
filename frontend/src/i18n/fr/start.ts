import type { Messages } from '../en';

export const start: Messages['start'] = {
  title: 'Pour commencer',
  progress: (done, all) => `${done} sur ${all}`,
  isDone: 'fait',
  hide: 'Masquer cette liste',
  steps: {
    machine: { title: 'Ajouter la première machine', hint: 'Un nom suffit. Le secteur, le modèle et le numéro de série peuvent attendre.', action: 'Ajouter une machine' },
    logs: { title: 'Reprendre l’existant', hint: 'Tapez ceci sur le serveur, avec votre fichier CSV ou un ancien dossier. Vous verrez ce qui serait écrit\u00a0; sans --dry-run, c’est écrit. La page docs/files.md explique les colonnes.', action: 'Ou noter une intervention' },
    team: { title: 'Inviter l’équipe', hint: 'Ajoutez une personne et envoyez-lui son lien. Sur le téléphone d’à côté, un code QR l’ouvre.', action: 'Ajouter une personne' },
    labels: { title: 'Imprimer les étiquettes', hint: 'Collez un code QR sur chaque machine. Un scan ouvre sa page.', action: 'Choisir des étiquettes' },
  },
};
