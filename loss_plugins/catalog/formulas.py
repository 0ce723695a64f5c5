"""The shipped formulas in Unicode, by their LaTeX. Made by `python -m tools.stubs`; do not edit."""

from __future__ import annotations

READABLE: dict[str, str] = {
    '1 - \\mathrm{IoU}^\\alpha + \\left(\\frac{\\rho^2}{c^2}\\right)^\\alpha + (\\beta v)^\\alpha': (
        '1 - IoU^α + (ρ²/c²)^α + (β v)^α'
    ),
    '1 - \\mathrm{IoU}^\\alpha + \\left(\\frac{\\rho^2}{c^2}\\right)^\\alpha': (
        '1 - IoU^α + (ρ²/c²)^α'
    ),
    '1 - \\mathrm{IoU}^\\alpha + \\left(\\frac{C - U}{C}\\right)^\\alpha': (
        '1 - IoU^α + ((C - U)/C)^α'
    ),
    '1 - \\mathrm{IoU}^\\alpha': (
        '1 - IoU^α'
    ),
    '-(1 - p_t)^{\\gamma_t} \\left[y \\ln p + (1 - y) \\ln p_-\\right],\\quad p_- = \\min(1 - p + m, 1)': (
        '-(1 - p_t)^(γ_t) [y ln p + (1 - y) ln p₋]\np₋ = min(1 - p + m, 1)'
    ),
    '-\\sum_c y_c (1 - p_{t,c})^{\\gamma_c} \\ln p_c,\\quad p = \\mathrm{softmax}(x)': (
        '-∑_c y_c (1 - p_(t,c))^(γ_c) ln p_c\np = softmax(x)'
    ),
    '\\begin{cases} \\frac{\\alpha}{b}(b|d| + 1)\\ln(b|d|/\\beta + 1) - \\alpha|d| & |d| < \\beta \\\\ \\gamma|d| + \\gamma/b - \\alpha\\beta & \\text{else} \\end{cases},\\quad b = e^{\\gamma/\\alpha} - 1': (
        '⎧ (α/b) (b |d| + 1) ln(b |d|/β + 1) - α |d|   if |d| < β\n⎩ γ |d| + γ/b - α β                           otherwise\nb = e^(γ/α) - 1'
    ),
    '-\\left[y \\ln p + (1 - y) \\ln(1 - p)\\right]': (
        '-[y ln p + (1 - y) ln(1 - p)]'
    ),
    '(1 - y) x + (1 + (w_+ - 1) y) \\ln(1 + e^{-x})': (
        '(1 - y) x + (1 + (w₊ - 1) y) ln(1 + e^(-x))'
    ),
    '\\mathrm{SmoothL1}_\\beta(1 - b),\\quad b_x = \\max\\left(0, \\frac{w_g - 2|d_x|}{w_g + 2|d_x|}\\right),\\quad b_w = \\min\\left(\\frac{w}{w_g}, \\frac{w_g}{w}\\right)': (
        'SmoothL1_β(1 - b)\nb_x = max(0, (w_g - 2 |d_x|)/(w_g + 2 |d_x|))\nb_w = min(w/w_g, w_g/w)'
    ),
    '1 - \\mathrm{IoU} + \\lambda\\,\\frac{|AE| + |BF| + |CG| + |DH|}{4c}': (
        '1 - IoU + λ (|AE| + |BF| + |CG| + |DH|)/(4 c)'
    ),
    '1 - \\mathrm{IoU} + \\frac{\\rho^2}{c^2} + \\alpha v,\\quad v = \\frac{4}{\\pi^2}\\left(\\arctan\\frac{w_g}{h_g} - \\arctan\\frac{w}{h}\\right)^2,\\quad \\alpha = \\mathrm{sg}\\left(\\frac{v}{1 - \\mathrm{IoU} + v}\\right)': (
        '1 - IoU + ρ²/c² + α v\nv = (4/π²) (arctan(w_g/h_g) - arctan(w/h))²\nα = sg(v/(1 - IoU + v))'
    ),
    '-w_y \\ln \\mathrm{softmax}(x)_y': (
        '-w_y ln softmax(x)_y'
    ),
    '\\frac{T^2}{\\sqrt{n} (\\sqrt{n_1} + \\sqrt{n_2})} \\sum_i p_i \\ln\\frac{p_i}{q_i},\\quad p = \\mathrm{softmax}(t / T),\\quad q = \\mathrm{softmax}(x / T)': (
        '(T²/(√n (√n₁ + √n₂))) ∑_i p_i ln(p_i/q_i)\np = softmax(t/T)\nq = softmax(x/T)'
    ),
    '\\begin{cases} 1 - \\frac{2 \\sum p t + s}{\\sum p^2 + \\sum t^2 + s} & \\text{form} = \\text{vnet} \\\\ 1 - \\frac{2 \\sum p t + s}{\\sum p + \\sum t + s} & \\text{form} = \\text{naive} \\end{cases}': (
        '⎧ 1 - (2 ∑ p t + s)/(∑ p² + ∑ t² + s)   if form = vnet\n⎩ 1 - (2 ∑ p t + s)/(∑ p + ∑ t + s)     if form = naive'
    ),
    '1 - \\mathrm{IoU} + \\frac{\\rho^2}{c^2}': (
        '1 - IoU + ρ²/c²'
    ),
    '(l + 1 - t)\\, \\mathrm{CE}(x, l) + (t - l)\\, \\mathrm{CE}(x, l + 1),\\quad l = \\lfloor t \\rfloor': (
        '(l + 1 - t) CE(x, l) + (t - l) CE(x, l + 1)\nl = ⌊t⌋'
    ),
    "-\\alpha_t \\frac{f}{\\gamma} (1 - p_t)^f \\ln p_t,\\quad f = \\gamma + s \\left(1 - \\min(1, g)\\right),\\quad g = \\frac{\\sum y |L'|}{\\sum (1 - y) |L'|}": (
        "-α_t (f/γ) (1 - p_t)^f ln p_t\nf = γ + s (1 - min(1, g))\ng = (∑ y |L'|)/(∑ (1 - y) |L'|)"
    ),
    '1 - \\mathrm{IoU} + \\frac{\\rho^2}{c^2} + \\frac{(w - w_g)^2}{c_w^2} + \\frac{(h - h_g)^2}{c_h^2}': (
        '1 - IoU + ρ²/c² + (w - w_g)²/c_w² + (h - h_g)²/c_h²'
    ),
    "\\begin{cases} \\mathrm{BCE}(x, y) & y \\le m - \\frac{1}{10} \\\\ e^{1 - m}\\, \\mathrm{BCE}(x, y) & y < m \\\\ e^{1 - y}\\, \\mathrm{BCE}(x, y) & \\text{else} \\end{cases},\\quad m' = d\\, m + (1 - d)\\, \\mathrm{mean}(\\mathrm{IoU}),\\quad d = \\lambda (1 - e^{-n / \\tau})": (
        "⎧ BCE(x, y)             if y ≤ m - 1/10\n⎨ e^(1 - m) BCE(x, y)   if y < m\n⎩ e^(1 - y) BCE(x, y)   otherwise\nm' = d m + (1 - d) mean(IoU)\nd = λ (1 - e^(-n/τ))"
    ),
    '\\left[(1 + \\alpha (1 - n))\\, y + n (1 - y)\\right] \\mathrm{BCE}(x, y),\\quad n = \\frac{1}{1 + e^{-\\gamma (g - \\mu)}},\\quad g = \\frac{\\sum y |p - y|}{\\sum (1 - y) |p - y|}': (
        '[(1 + α (1 - n)) y + n (1 - y)] BCE(x, y)\nn = 1/(1 + e^(-γ (g - μ)))\ng = (∑ y |p - y|)/(∑ (1 - y) |p - y|)'
    ),
    "\\begin{cases} \\frac{x^2}{2s} & x < s \\\\ x - \\frac{s}{2} & \\text{else} \\end{cases},\\quad x = 1 - \\frac{I'}{A + A_g - I'}": (
        "⎧ x²/(2 s)   if x < s\n⎩ x - s/2    otherwise\nx = 1 - I'/(A + A_g - I')"
    ),
    '(1 - r)\\, \\mathrm{CE}(x, l) + r\\, \\mathrm{CE}(x, l + 1),\\quad r = \\frac{t - W_l}{W_{l + 1} - W_l},\\quad W_{n / 2 + k} = (a c + 1)^{2 k / (n - 2)} - 1': (
        '(1 - r) CE(x, l) + r CE(x, l + 1)\nr = (t - W_l)/(W_(l+1) - W_l)\nW_(n/2+k) = (a c + 1)^(2 k/(n - 2)) - 1'
    ),
    '-\\alpha_t (1 - p_t)^\\gamma \\ln p_t': (
        '-α_t (1 - p_t)^γ ln p_t'
    ),
    '\\mathrm{sg}(\\mathrm{IoU})^{\\gamma}\\, L_\\mathrm{EIoU}': (
        'sg(IoU)^γ L_EIoU'
    ),
    '\\begin{cases} -\\frac{\\alpha x^2}{4} (2 \\ln(\\beta x) - 1) & x \\le 1 \\\\ -\\alpha x \\ln\\beta + \\frac{\\alpha}{4} (2 \\ln\\beta + 1) & x > 1 \\end{cases},\\quad x = |d|': (
        '⎧ -(α x²/4) (2 ln(β x) - 1)        if x ≤ 1\n⎩ -α x ln β + (α/4) (2 ln β + 1)   if x > 1\nx = |d|'
    ),
    '\\left(1 - \\frac{TP}{TP + \\alpha FP + \\beta FN}\\right)^{1 / \\gamma}': (
        '(1 - TP/(TP + α FP + β FN))^(1/γ)'
    ),
    '\\begin{cases} -(1 - p)^\\alpha \\ln p & y = 1 \\\\ -(1 - y)^\\gamma p^\\alpha \\ln(1 - p) & \\text{else} \\end{cases}': (
        '⎧ -(1 - p)^α ln p            if y = 1\n⎩ -(1 - y)^γ p^α ln(1 - p)   otherwise'
    ),
    '1 - e^{-\\sqrt{(D + D_g) / 2}},\\quad D = \\frac{d_x^2}{w^2} + \\frac{d_y^2}{h^2} + \\frac{(w - w_g)^2}{4 w^2} + \\frac{(h - h_g)^2}{4 h^2},\\quad D_g = \\frac{d_x^2}{w_g^2} + \\frac{d_y^2}{h_g^2} + \\frac{(w - w_g)^2}{4 w_g^2} + \\frac{(h - h_g)^2}{4 h_g^2}': (
        '1 - e^(-√((D + D_g)/2))\nD = d_x²/w² + d_y²/h² + (w - w_g)²/(4 w²) + (h - h_g)²/(4 h²)\nD_g = d_x²/w_g² + d_y²/h_g² + (w - w_g)²/(4 w_g²) + (h - h_g)²/(4 h_g²)'
    ),
    '1 - \\frac{2 \\sum_c w_c \\sum p t + s}{\\sum_c w_c \\left(\\sum p + \\sum t\\right) + s},\\quad w_c = \\frac{1}{\\left(\\sum t\\right)^2}': (
        '1 - (2 ∑_c w_c ∑ p t + s)/(∑_c w_c (∑ p + ∑ t) + s)\nw_c = 1/(∑ t)²'
    ),
    '\\frac{N\\, \\mathrm{BCE}(x, y)}{m\\, S_{b(g)}},\\quad g = |p - y|': (
        'N BCE(x, y)/(m S_(b(g)))\ng = |p - y|'
    ),
    '1 - \\mathrm{IoU} + \\frac{C - U}{C}': (
        '1 - IoU + (C - U)/C'
    ),
    '1 - \\frac{1}{\\tau + f(d / s)},\\quad d^2 = |\\Delta|^2 + \\alpha^2 \\mathrm{tr}\\left(\\Sigma_p + \\Sigma_t - 2 (\\Sigma_p^{1/2} \\Sigma_t \\Sigma_p^{1/2})^{1/2}\\right),\\quad s = (w h w_g h_g)^{1/4}': (
        '1 - 1/(τ + f(d/s))\nd² = |Δ|² + α² tr(Σ_p + Σ_t - 2 (Σ_p^(1/2) Σ_t Σ_p^(1/2))^(1/2))\ns = (w h w_g h_g)^(1/4)'
    ),
    '\\begin{cases} x & y = 1 \\\\ \\max(0, m - x) & y = -1 \\end{cases}': (
        '⎧ x               if y = 1\n⎩ max(0, m - x)   if y = -1'
    ),
    '\\begin{cases} \\frac{d^2}{2} & |d| \\le \\delta \\\\ \\delta (|d| - \\frac{\\delta}{2}) & \\text{else} \\end{cases}': (
        '⎧ d²/2            if |d| ≤ δ\n⎩ δ (|d| - δ/2)   otherwise'
    ),
    '\\begin{cases} \\mathrm{BCE}(x, t) & \\text{matched} \\\\ p^\\gamma\\, \\mathrm{BCE}(x, 0) & \\text{else} \\end{cases},\\quad t = \\mathrm{sg}(\\max(p^\\alpha q^{1 - \\alpha}, t_0))\\, e^{-r / \\tau}': (
        '⎧ BCE(x, t)       if matched\n⎩ p^γ BCE(x, 0)   otherwise\nt = sg(max(p^α q^(1 - α), t₀)) e^(-r/τ)'
    ),
    '\\begin{cases} 1 - \\mathrm{IoU} & \\text{mode} = \\text{linear} \\\\ -\\ln \\mathrm{IoU} & \\text{mode} = \\text{log} \\\\ 1 - \\mathrm{IoU}^2 & \\text{mode} = \\text{square} \\end{cases}': (
        '⎧ 1 - IoU    if mode = linear\n⎨ -ln IoU    if mode = log\n⎩ 1 - IoU²   if mode = square'
    ),
    '1 - \\frac{\\sum p t + s}{\\sum p + \\sum t - \\sum p t + s}': (
        '1 - (∑ p t + s)/(∑ p + ∑ t - ∑ p t + s)'
    ),
    '1 - \\frac{1}{\\tau + f(\\sqrt{(D_{pt} + D_{tp}) / 2})}': (
        '1 - 1/(τ + f(√((D_pt + D_tp)/2)))'
    ),
    '\\sum_{x,y} \\mathrm{SmoothL1}_\\beta(d) + 1 - \\frac{V}{V_p + V_t - V},\\quad V = 4 \\sqrt{\\left|\\Sigma_p - \\Sigma_p (\\Sigma_p + \\Sigma_t)^{-1} \\Sigma_p\\right|}': (
        '∑_(x,y) SmoothL1_β(d) + 1 - V/(V_p + V_t - V)\nV = 4 √|Σ_p - Σ_p (Σ_p + Σ_t)⁻¹ Σ_p|'
    ),
    'p (\\ln p - \\ell)': (
        'p (ln p - ℓ)'
    ),
    '1 - \\frac{1}{\\tau + f(\\sqrt{D})},\\quad D = \\frac{1}{2\\alpha^2} \\Delta^T \\Sigma_p^{-1} \\Delta + \\frac{1}{2} \\mathrm{tr}(\\Sigma_p^{-1} \\Sigma_t) + \\frac{1}{2} \\ln \\frac{|\\Sigma_p|}{|\\Sigma_t|} - 1': (
        '1 - 1/(τ + f(√D))\nD = (1/(2 α²)) Δᵀ Σ_p⁻¹ Δ + (1/2) tr(Σ_p⁻¹ Σ_t) + (1/2) ln(|Σ_p|/|Σ_t|) - 1'
    ),
    '|d|,\\quad d = \\hat{x} - x': (
        '|d|\nd = x̂ - x'
    ),
    '\\ln\\left(\\cosh\\left(1 - \\frac{2 \\sum p t + s}{\\sum p + \\sum t + s}\\right)\\right)': (
        'ln(cosh(1 - (2 ∑ p t + s)/(∑ p + ∑ t + s)))'
    ),
    '\\sum_k \\max(m_k, 0) (J_k - J_{k-1}),\\quad J_k = 1 - \\frac{G - \\sum_{i \\le k} t_i}{G + \\sum_{i \\le k} (1 - t_i)},\\quad m_k = 1 - x_k (2 t_k - 1)': (
        '∑_k max(m_k, 0) (J_k - J_(k-1))\nJ_k = 1 - (G - ∑_(i≤k) t_i)/(G + ∑_(i≤k) (1 - t_i))\nm_k = 1 - x_k (2 t_k - 1)'
    ),
    '\\frac{1}{C} \\sum_c \\sum_k \\max(m_k, 0) (J_k - J_{k-1}),\\quad J_k = 1 - \\frac{G - \\sum_{i \\le k} t_i}{G + \\sum_{i \\le k} (1 - t_i)},\\quad m_k = |t_{kc} - p_{kc}|': (
        '(1/C) ∑_c ∑_k max(m_k, 0) (J_k - J_(k-1))\nJ_k = 1 - (G - ∑_(i≤k) t_i)/(G + ∑_(i≤k) (1 - t_i))\nm_k = |t_kc - p_kc|'
    ),
    '\\max(0, -y (x_1 - x_2) + m)': (
        'max(0, -y (x₁ - x₂) + m)'
    ),
    '\\begin{cases} \\mathrm{BCE}(x, q^\\gamma) & \\text{matched} \\\\ \\alpha\\, \\mathrm{sg}(p)^\\gamma\\, \\mathrm{BCE}(x, 0) & \\text{else} \\end{cases}': (
        '⎧ BCE(x, q^γ)           if matched\n⎩ α sg(p)^γ BCE(x, 0)   otherwise'
    ),
    '\\frac{1}{2} \\left(1 - \\frac{1}{4} \\sum_{n} \\mathrm{GIoU}(n^T B, n^T B_g)\\right)': (
        '(1/2) (1 - (1/4) ∑_n GIoU(nᵀ B, nᵀ B_g))'
    ),
    '\\frac{1}{2} \\left(1 - \\frac{1}{8} \\sum_{n} \\mathrm{GIoU}(n^T Q, n^T Q_g)\\right) + \\lambda D': (
        '(1/2) (1 - (1/8) ∑_n GIoU(nᵀ Q, nᵀ Q_g)) + λ D'
    ),
    '\\sum_i \\lambda_i L_i': (
        '∑_i λ_i L_i'
    ),
    '1 - \\mathrm{IoU} + \\frac{d_1^2 + d_2^2}{W^2 + H^2}': (
        '1 - IoU + (d₁² + d₂²)/(W² + H²)'
    ),
    'd^2': (
        'd²'
    ),
    '-w_y\\, \\ell_y': (
        '-w_y ℓ_y'
    ),
    '1 - e^{-W / C},\\quad W^2 = d_x^2 + d_y^2 + \\frac{(w - w_g)^2 + (h - h_g)^2}{4}': (
        '1 - e^(-W/C)\nW² = d_x² + d_y² + ((w - w_g)² + (h - h_g)²)/4'
    ),
    '1 - \\sum_k \\frac{m_k}{\\sum_j m_j} e^{-d_k^2 / (8 \\sigma_k^2 A)}': (
        '1 - ∑_k (m_k/(∑_j m_j)) e^(-d_k²/(8 σ_k² A))'
    ),
    'L_1 = 2 - \\mathrm{IoU} - e^{-P^2},\\quad P = \\frac{1}{4}\\left(\\frac{d_l + d_r}{w_g} + \\frac{d_t + d_b}{h_g}\\right),\\quad L_2 = 3 \\lambda q\\, e^{-(\\lambda q)^2} L_1,\\quad q = e^{-P}': (
        'L₁ = 2 - IoU - e^(-P²)\nP = (1/4) ((d_l + d_r)/w_g + (d_t + d_b)/h_g)\nL₂ = 3 λ q e^(-(λ q)²) L₁\nq = e^(-P)'
    ),
    '-\\ln p_y + \\varepsilon (1 - p_y)': (
        '-ln p_y + ε (1 - p_y)'
    ),
    '-\\alpha_t (1 - p_t)^\\gamma \\ln p_t + \\varepsilon (1 - p_t)^{\\gamma + 1}': (
        '-α_t (1 - p_t)^γ ln p_t + ε (1 - p_t)^(γ + 1)'
    ),
    '\\sqrt{1 - e^{-B}},\\quad B = \\frac{1}{4} \\Delta^T (\\Sigma_p + \\Sigma_t)^{-1} \\Delta + \\frac{1}{2} \\ln \\frac{|\\Sigma_p + \\Sigma_t|}{4 \\sqrt{|\\Sigma_p| |\\Sigma_t|}}': (
        '√(1 - e^(-B))\nB = (1/4) Δᵀ (Σ_p + Σ_t)⁻¹ Δ + (1/2) ln(|Σ_p + Σ_t|/(4 √(|Σ_p| |Σ_t|)))'
    ),
    '|q - p|^\\beta\\, \\mathrm{BCE}(x, q)': (
        '|q - p|^β BCE(x, q)'
    ),
    '\\sum_{t=x,y} \\left(\\ln \\sigma_t - \\ln f(z) + \\ln(2 \\sigma_t) + |z_t|\\right),\\quad z_t = \\frac{t - t_g}{\\sigma_t}': (
        '∑_(t=x,y) (ln σ_t - ln f(z) + ln(2 σ_t) + |z_t|)\nz_t = (t - t_g)/σ_t'
    ),
    '(1 - g)(1 - \\mathrm{IoU} + \\alpha v) + (1 + g) \\frac{\\rho^2}{c^2},\\quad g = \\delta \\max\\left(0, 1 - \\frac{w_g h_g}{a}\\right)': (
        '(1 - g)(1 - IoU + α v) + (1 + g) ρ²/c²\ng = δ max(0, 1 - w_g h_g/a)'
    ),
    '\\ln \\left(\\sum_j S_j e^{x_j}\\right) - x_y,\\quad S_j = m_j^p c_j^q,\\quad m_j = \\min\\left(1, \\frac{N_j}{N_y}\\right),\\quad c_j = \\max\\left(1, \\frac{s_j}{\\max(s_y, \\varepsilon)}\\right),\\quad s = \\mathrm{sg}(\\mathrm{softmax}(x))': (
        'ln(∑_j S_j e^(x_j)) - x_y\nS_j = m_j^p c_j^q\nm_j = min(1, N_j/N_y)\nc_j = max(1, s_j/max(s_y, ε))\ns = sg(softmax(x))'
    ),
    '1 - \\mathrm{IoU} + \\frac{hh\\, d_x^2 + ww\\, d_y^2}{c^2} + \\frac{1}{2} \\sum_{t=w,h} (1 - e^{-\\omega_t})^4,\\quad ww = \\frac{2 w_g^s}{w_g^s + h_g^s},\\quad hh = \\frac{2 h_g^s}{w_g^s + h_g^s},\\quad \\omega_w = hh \\frac{|w - w_g|}{\\max(w, w_g)},\\quad \\omega_h = ww \\frac{|h - h_g|}{\\max(h, h_g)}': (
        '1 - IoU + (hh d_x² + ww d_y²)/c² + (1/2) ∑_(t=w,h) (1 - e^(-ω_t))⁴\nww = 2 w_g^s/(w_g^s + h_g^s)\nhh = 2 h_g^s/(w_g^s + h_g^s)\nω_w = hh |w - w_g|/max(w, w_g)\nω_h = ww |h - h_g|/max(h, h_g)'
    ),
    '1 - \\mathrm{IoU} + \\frac{\\Delta + \\Omega}{2},\\quad \\Delta = \\sum_{t=x,y} \\left(1 - e^{-(2 - \\Lambda) (d_t / c_t)^2}\\right),\\quad \\Lambda = \\frac{2 |d_x d_y|}{\\rho^2},\\quad \\Omega = \\sum_{t=w,h} \\left(1 - e^{-|t - t_g| / \\max(t, t_g)}\\right)^\\theta': (
        '1 - IoU + (Δ + Ω)/2\nΔ = ∑_(t=x,y) (1 - e^(-(2 - Λ) (d_t/c_t)²))\nΛ = 2 |d_x d_y|/ρ²\nΩ = ∑_(t=w,h) (1 - e^(-|t - t_g|/max(t, t_g)))^θ'
    ),
    '\\begin{cases} \\mathrm{BCE}(x, y) & y \\le \\mu - \\frac{1}{10} \\\\ e^{1 - \\mu}\\, \\mathrm{BCE}(x, y) & y < \\mu \\\\ e^{1 - y}\\, \\mathrm{BCE}(x, y) & \\text{else} \\end{cases}': (
        '⎧ BCE(x, y)             if y ≤ μ - 1/10\n⎨ e^(1 - μ) BCE(x, y)   if y < μ\n⎩ e^(1 - y) BCE(x, y)   otherwise'
    ),
    '\\begin{cases} \\frac{d^2}{2\\beta} & |d| < \\beta \\\\ |d| - \\frac{\\beta}{2} & \\text{else} \\end{cases}': (
        '⎧ d²/(2 β)    if |d| < β\n⎩ |d| - β/2   otherwise'
    ),
    '-\\alpha_y (1 - p_y)^\\gamma \\ln p_y,\\quad p = \\mathrm{softmax}(x)': (
        '-α_y (1 - p_y)^γ ln p_y\np = softmax(x)'
    ),
    '1 - \\frac{TP}{TP + \\alpha FP + \\beta FN}': (
        '1 - TP/(TP + α FP + β FN)'
    ),
    'L_\\mathrm{CIoU}(k B, k B_g),\\quad k = \\begin{cases} 2 - \\frac{3 t}{2} & \\text{schedule} = \\text{linear} \\\\ \\frac{3 \\cos(\\pi t) + 5}{4} & \\text{schedule} = \\text{cosine} \\\\ \\frac{2}{3 t + 1} & \\text{schedule} = \\text{fraction} \\end{cases}': (
        'L_CIoU(k B, k B_g)\nk = ⎧ 2 - 3 t/2            if schedule = linear\n⎨ (3 cos(π t) + 5)/4   if schedule = cosine\n⎩ 2/(3 t + 1)          if schedule = fraction'
    ),
    '\\begin{cases} q\\, \\mathrm{BCE}(x, q) & q > 0 \\\\ \\alpha p^\\gamma\\, \\mathrm{BCE}(x, 0) & q = 0 \\end{cases}': (
        '⎧ q BCE(x, q)       if q > 0\n⎩ α p^γ BCE(x, 0)   if q = 0'
    ),
    '\\begin{cases} w \\ln\\left(1 + \\frac{|d|}{c}\\right) & |d| < w \\\\ |d| - w + w \\ln\\left(1 + \\frac{w}{c}\\right) & \\text{else} \\end{cases}': (
        '⎧ w ln(1 + |d|/c)           if |d| < w\n⎩ |d| - w + w ln(1 + w/c)   otherwise'
    ),
    'L_1 = e^{\\rho^2 / \\mathrm{sg}(c^2)} (1 - \\mathrm{IoU}),\\quad L_2 = \\sqrt\\beta\\, L_1,\\quad L_3 = \\frac{\\beta L_1}{\\delta \\alpha^{\\beta - \\delta}},\\quad \\beta = \\mathrm{sg}\\left(\\frac{1 - \\mathrm{IoU}}{\\mathrm{mean}(1 - \\mathrm{IoU})}\\right)': (
        'L₁ = e^(ρ²/sg(c²)) (1 - IoU)\nL₂ = √β L₁\nL₃ = β L₁/(δ α^(β - δ))\nβ = sg((1 - IoU)/mean(1 - IoU))'
    ),
}
