import type { Words } from '../language.svelte';

export const problems: Words['problems'] = {
  title: 'Cela n’a pas marché',
  code: {
    offline: 'Le service ne répond pas. Vérifiez le réseau, puis réessayez.',
    forbidden: 'Votre rôle ne le permet pas.',
    'not-found': 'Cela n’existe pas, ou plus.',
    gone: 'Cette fiche a été supprimée.',
    'version-conflict': 'Quelqu’un l’a modifiée entre-temps. Voyez son nouvel état, puis réessayez.',
    conflict: 'Cela contredit ce qui existe.',
    'rate-limited': 'Trop d’essais. Attendez un peu, puis réessayez.',
    'database-busy': 'La base de données est occupée. Réessayez dans un instant.',
    'query-timeout': 'Cette recherche est trop longue. Précisez : une machine, une période plus courte.',
    'storage-full': 'Le disque du service est plein : rien ne s’enregistre tant qu’un administrateur n’a pas fait de place.',
    internal: 'Le service a échoué. Si cela se répète, prévenez un administrateur.',
    validation: 'Il y a quelque chose à corriger.',
  },
  fault: {
    missing: 'Ce champ est nécessaire.',
    string_too_short: 'C’est trop court.',
    string_too_long: 'C’est trop long.',
    pattern: 'Il y a ici des signes qui ne sont pas permis.',
  },
  reference: (id) => `Référence ${id}`,
};
