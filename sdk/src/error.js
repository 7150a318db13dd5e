/**
 * The one kind of error that this library throws.
 *
 * `code` is either an OAuth code as the server sent it (`access_denied`, `login_required`, `invalid_grant`, ...) or one of
 * ours: `state_unknown`, `issuer_mismatch`, `discovery_failed`, `id_token_invalid`, `token_response_invalid`,
 * `not_logged_in`, `unreachable`, `api_not_listed`, `return_to_foreign`, `option_missing`.
 */
export class LoginError extends Error {
  /**
   * @param {string} code what happened, for programs
   * @param {string} message what happened, for people
   * @param {{cause?: unknown, returnTo?: string, status?: number}} [more]
   */
  constructor(code, message, more = {}) {
    super(message, 'cause' in more ? { cause: more.cause } : undefined);
    this.name = 'LoginError';
    /** @type {string} */
    this.code = code;
    /** @type {string | undefined} where the person wanted to go when the login began */
    this.returnTo = more.returnTo;
    /** @type {number | undefined} the HTTP status of a refusal */
    this.status = more.status;
  }
}
