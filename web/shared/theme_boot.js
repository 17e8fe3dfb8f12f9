// A classic script in the head, so that a remembered theme stands before the first paint.
(() => {
    try {
        const theme = localStorage.getItem("theme");
        if (theme === "light" || theme === "dark") {
            document.documentElement.dataset["theme"] = theme;
        }
    } catch {
        // Storage is refused: the system's preference holds.
    }
})();
