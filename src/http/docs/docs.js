// Swagger UI with what it lacks for people who do not see the page or use no mouse: names of its fields, buttons without links
// inside, and the colours that the system prefers.

/** What has no name of its own, and what it is called. */
const NAMES = [
  ['.examples-select-element', 'Example'],
  ['.copy-to-clipboard button', 'Copy to the clipboard'],
  ['.body-param textarea', 'Request body'],
  ['.close-modal', 'Close'],
];

/** A parameter's field is called as the parameter. */
const PARAMETER = '.parameters-col_description :is(input, select, textarea)';

function name(page) {
  for (const [elements, words] of NAMES) {
    for (const element of page.querySelectorAll(`${elements}:not([aria-label])`)) element.setAttribute('aria-label', words);
  }
  for (const field of page.querySelectorAll(`${PARAMETER}:not([aria-label])`)) {
    const parameter = field.closest('tr')?.dataset.paramName;
    if (parameter) field.setAttribute('aria-label', parameter);
  }
  // What is named otherwise than it says cannot be pressed by voice.
  for (const button of page.querySelectorAll('.modal-btn[aria-label]')) button.removeAttribute('aria-label');
  // What scrolls must scroll by keyboard, too.
  for (const code of page.querySelectorAll('pre.microlight:not([tabindex])')) code.tabIndex = 0;
}

/** The path of an operation stands inside the button that opens it, so it is text. The address follows what is open. */
const textInButtons = () => ({
  wrapComponents: {
    DeepLink: (Link, { React }) => (props) =>
      props.path.includes('/') ? React.createElement('span', { className: 'nostyle' }, props.text) : React.createElement(Link, props),
  },
});

const page = document.getElementById('swagger-ui');
new MutationObserver(() => name(page)).observe(page, { childList: true, subtree: true });

const dark = matchMedia('(prefers-color-scheme: dark)');
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', follow);
follow();

SwaggerUIBundle({
  dom_id: '#swagger-ui',
  url: '/api/v1/openapi.json',
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  plugins: [textInButtons],
});
