import { UserManager } from 'oidc-client-ts';
import { bind, callApi, config, here, show, showError, status } from './page.js';

const manager = new UserManager({
  authority: `${config.url}/realms/${config.realm}`,
  client_id: config.clientId,
  redirect_uri: here,
  post_logout_redirect_uri: here,
  scope: 'openid profile email',
  loadUserInfo: true,
});

bind({
  login: () => manager.signinRedirect(),
  refresh: async () => {
    const before = await manager.getUser();
    const user = await manager.signinSilent();
    show({ refreshed: user !== null && user.access_token !== before?.access_token, exp: user?.expires_at });
  },
  call: async () => callApi((await manager.getUser())?.access_token),
  logout: () => manager.signoutRedirect(),
});

try {
  const answer = new URLSearchParams(location.search);
  if (answer.has('state') && (answer.has('code') || answer.has('error'))) {
    const user = await manager.signinCallback();
    history.replaceState(null, '', here);
    if (user) show({ claims: user.profile });
  }
  const user = await manager.getUser();
  status(user !== null && !user.expired);
} catch (error) {
  history.replaceState(null, '', here);
  showError(error);
  status(false);
}
