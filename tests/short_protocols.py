"""Every protocol as short as it can be, with options of the command line."""

SHORT_GRATINGS = ("--directions", "2", "--trials", "2", "--settle-ms", "10", "--gray-ms", "30", "--grating-ms", "40")
SHORT = {
    "gratings": SHORT_GRATINGS,
    "contrast": (
        *("--contrasts", "0.1", "0.8", "--directions", "2", "--trials", "2", "--blanks", "1", "--settle-ms", "10"),
        *("--gray-ms", "30", "--grating-ms", "50", "--count-after-ms", "10", "--count-ms", "40"),
    ),
    "images": (
        *("--n-images", "3", "--trials", "2", "--image-ms", "20", "--gray-ms", "30", "--orientations", "1"),
        *("--phases", "2", "--pictures-per-rollout", "2"),
    ),
    "silence": (*SHORT_GRATINGS, "--cohorts", "Exc", "Inh:top:incoming"),
    "perturb-weights": (*SHORT_GRATINGS, "--pairs", "Exc:Inh", "--factors", "0", "1"),
}
