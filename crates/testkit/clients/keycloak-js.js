import Keycloak from 'keycloak-js';
import { $, bind, callApi, config, here, show, showError, status } from './page.js';

const keycloak = new Keycloak({ url: config.url, realm: config.realm, clientId: config.clientId });
keycloak.onAuthLogout = () => {
  $('status').dataset.ended = 'true';
  status(false);
};

bind({
  login: () => keycloak.login(),
  refresh: async () => {
    const refreshed = await keycloak.updateToken(-1);
    show({ refreshed, exp: keycloak.tokenParsed?.exp });
  },
  call: () => callApi(keycloak.token),
  logout: () => keycloak.logout({ redirectUri: here }),
});

// The session iframe is on by default; it is what the test looks at, so it is not switched off here.
try {
  const authenticated = await keycloak.init({ onLoad: 'check-sso', pkceMethod: 'S256', redirectUri: here });
  if (authenticated) show({ claims: keycloak.idTokenParsed });
  status(authenticated);
} catch (error) {
  showError(error ?? new Error('init failed'));
  status(false);
}
