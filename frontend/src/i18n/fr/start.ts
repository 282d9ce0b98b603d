import type { Messages } from '../en';

export const start: Messages['start'] = {
  title: 'Pour commencer',
  progress: (done, all) => `${done} sur ${all}`,
  isDone: 'fait',
  hide: 'Masquer cette liste',
  legacyHint: 'Pour un dossier de l’ancien outil, tapez ceci sur le serveur. Sans --dry-run, c’est écrit\u00a0:',
  steps: {
    machine: { title: 'Ajouter la première machine', hint: 'Un nom suffit. Le secteur, le modèle et le numéro de série peuvent attendre.', action: 'Ajouter une machine' },
    logs: { title: 'Reprendre l’existant', hint: 'Déposez le tableau ou l’export de l’ancien logiciel. Vous vérifiez tout avant l’écriture, et vous pouvez annuler.', action: 'Importer un tableau' },
    team: { title: 'Inviter l’équipe', hint: 'Ajoutez une personne et envoyez-lui son lien. Sur le téléphone d’à côté, un code QR l’ouvre.', action: 'Ajouter une personne' },
    labels: { title: 'Imprimer les étiquettes', hint: 'Collez un code QR sur chaque machine. Un scan ouvre sa page.', action: 'Choisir des étiquettes' },
  },
};
