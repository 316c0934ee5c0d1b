// Who the studio takes this browser for: {role, name, project_id, signed_in, has_account}. Asked
// once per page and shared by every component on it. `role` is "guest" for one who came by a guest
// link; what a role may not do is refused by the studio, and hidden here so that nobody runs into it.
import { get } from "./api.js";

const ROLES = ["guest", "rater", "trainer", "administrator"];

let asking = null;

export function session() {
  asking ??= get("session").catch((error) => {
    asking = null;
    throw error;
  });
  return asking;
}

// May someone of this role do what needs that one?
export const reaches = ({ role }, least) => ROLES.indexOf(role) >= ROLES.indexOf(least);

// Until the studio has answered, and where it does not, nothing is hidden.
export const mayI = (least) => session().then((who) => reaches(who, least), () => true);
